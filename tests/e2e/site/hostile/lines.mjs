// Lines of NDJSON: those that are no entries, and those that look bad and are good.

const LEVELS = 100_000;
const nested = (open, inner, close) => open.repeat(LEVELS) + inner + close.repeat(LEVELS);
const valued = (json) => `{"key":"a","value":${json}}`;
const expiring = (json) => `{"key":"a","value":1,"expiresAt":${json}}`;
const keyed = (json) => `{"key":${json},"value":1}`;

/** What an export has around its entries. */
export const HEAD = '{"holdfast":"entries","version":1,"seq":1}';
export const foot = (entries) => JSON.stringify({ entries });
export const GOOD = '{"key":"good","value":"line"}';

export const BAD_LINES = [
	...["x", "{", "}", "[]", "null", "true", "1", '"text"', "{}", "{'key':'a','value':1}", "\u0000", "\ufeff{}"],
	...[
		'{"key":"a"}',
		'{"value":1}',
		'{"key":"a","value":1,}',
		'{"key":"a","value":}',
		'{"key":"a","value":1',
		"// note",
	],
	...[`${GOOD}${GOOD}`, `${GOOD},`, `[${GOOD}]`, `${GOOD}]`, '{"key":"a","value":1,"more":1}', '{"key":"a","valve":1}'],
	...["1", "null", "true", "[]", "{}", '[""]', '""', `"${"k".repeat(1025)}"`, '"\\ud800"', '"\\udc00a"', '"\\x41"'].map(
		keyed,
	),
	...['"\u00fc"'.repeat(2), `"${"\u00fc".repeat(513)}"`].map(keyed),
	'{"key":"a","value":1,"stored":"VA=="}',
	...[
		"1",
		"null",
		'""',
		'"!"',
		'"AA=="',
		'"Sg=="',
		'"Snt9fQ=="',
		'"U/8="',
		'"QP////8="',
		'"T/////8="',
		'"Qf////8="',
	].map((stored) => `{"key":"a","stored":${stored}}`),
	...["0", "-1", "1.5", '"1"', "true", "null", "[]", "1e999", "-1e999", "9007199254740992", "1e300"].map(expiring),
	...["NaN", "Infinity", "undefined", "01", "+1", ".5", "0x1", "1n", "'a'", '"\t"', '"\\ud8"', "[1,]", "{1:2}"].map(
		valued,
	),
	'{"__proto__":{"key":"a","value":1}}',
	'{"key":"a","__proto__":{"value":1}}',
	'{"key":"a","value":1,"__proto__":1}',
	'{"key":"a","value":1,"constructor":1}',
	'{"holdfast":"entries","version":1}',
	'{"entries":1}',
	...[
		nested("[", "", "]"),
		nested('{"a":', "1", "}"),
		nested('{"$object":', "{}", "}"),
		nested('{"$set":[', "", "]}"),
		nested('{"$map":[[1,', "1", "]]}"),
		nested("[", "", ""),
	].map(valued),
	...[
		'{"$undefined":false}',
		'{"$number":"1"}',
		'{"$number":1}',
		'{"$bigint":"1.5"}',
		'{"$bigint":"-"}',
		'{"$bigint":""}',
		'{"$bigint":12}',
		'{"$date":"never"}',
		'{"$date":1}',
		'{"$bytes":"*"}',
		'{"$bytes":[1]}',
		'{"$map":{}}',
		'{"$map":[[1]]}',
		'{"$map":[1]}',
		'{"$map":["ab"]}',
		'{"$set":1}',
		'{"$set":"ab"}',
		'{"$object":[]}',
		'{"$object":null}',
		'{"$other":1}',
		'{"$":1}',
		'[{"a":{"$other":1}}]',
	].map(valued),
];

/** Whole files that say something false of themselves, and the code of the refusal. */
export const BAD_FILES = [
	...[`${HEAD}`, `${HEAD}\n`, `${HEAD}\n${GOOD}`, `${HEAD}\n${GOOD}\n`, `\n${HEAD}\n${foot(0)}`],
	...[0, 2, -1, 1.5, "1", null, 1e300].map((count) => `${HEAD}\n${GOOD}\n${foot(count)}\n`),
	...[GOOD, foot(1), foot(2), HEAD, "x", "{"].map((line) => `${HEAD}\n${GOOD}\n${foot(1)}\n${line}\n`),
	`${HEAD}\n${HEAD}\n${foot(0)}\n`,
	`${GOOD}\n${foot(1)}\n`,
	`${GOOD}\n${HEAD}\n${foot(1)}\n`,
	...['"log"', "1", "null", "[]"].map((what) => `{"holdfast":${what},"version":1}\n${foot(0)}\n`),
	...['"1"', "1.5", "null", "0", "-1"].map((version) => `{"holdfast":"entries","version":${version}}\n${foot(0)}\n`),
	`{"holdfast":"entries"}\n${foot(0)}\n`,
].map((text) => ({ text, code: "CORRUPT" }));
BAD_FILES.push(
	...[`{"holdfast":"entries","version":2}\n${foot(0)}\n`, '{"holdfast":"entries","version":999999,"more":[]}'].map(
		(text) => ({ text, code: "VERSION" }),
	),
);

/** Lines that are entries, and their values under the key `a`. */
export const ODD_LINES = [
	[valued('{"__proto__":{"polluted":1}}'), JSON.parse('{"__proto__":{"polluted":1}}')],
	[valued('[{"__proto__":null,"a":1}]'), [JSON.parse('{"__proto__":null,"a":1}')]],
	[valued('{"$object":{"__proto__":{"polluted":1}}}'), JSON.parse('{"__proto__":{"polluted":1}}')],
	[
		valued('{"a":[{"$number":"-0"}],"__proto__":{"polluted":true}}'),
		JSON.parse('{"a":[-0],"__proto__":{"polluted":true}}'),
	],
	[
		valued('{"constructor":{"prototype":{"polluted":1}},"toString":1}'),
		{ constructor: { prototype: { polluted: 1 } }, toString: 1 },
	],
	[valued('{"toJSON":1,"length":3}'), { toJSON: 1, length: 3 }],
	[valued("1e999"), Number.POSITIVE_INFINITY],
	[valued("-0"), -0],
	[valued('"\\ud800"'), "\ud800"],
	[valued(`${"[".repeat(900)}${"]".repeat(900)}`), JSON.parse(`${"[".repeat(900)}${"]".repeat(900)}`)],
	[` \t${valued("1")} \r`, 1],
	[`${valued("1")}\n\n${valued("2")}\n`, 2],
];
