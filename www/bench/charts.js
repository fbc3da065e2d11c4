/**
 * A chart of one row: a bar for each engine, from the least to the most its spread, on a logarithmic axis, ours in another colour. As
 * SVG text, so that it is the same in a page and in a file; its colours are legible on light and on dark.
 *
 * Uses ECharts, the one dependency of the page besides the engines.
 */

import { BarChart, CustomChart } from "echarts/charts";
import { GridComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { OURS } from "./ratios.js";
import { figure, titleOf } from "./table.js";

use([BarChart, CustomChart, GridComponent, SVGRenderer]);

const COLORS = { ours: "#d9822b", other: "#7f95a8", text: "#808080", line: "#80808040" };
const WIDTH = 720;
const LINE_HEIGHT = 26;
const MARGINS = { top: 8, bottom: 32, left: 190, right: 90 };

/** SVG text, or undefined where fewer than two engines have figures. */
export function chartOf(row, names) {
	const cells = row.cells.filter(({ samples }) => samples).sort((a, b) => b.median - a.median);
	if (cells.length < 2) return undefined;
	const height = MARGINS.top + MARGINS.bottom + cells.length * LINE_HEIGHT;
	const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
	chart.setOption(optionsOf(row, cells, names));
	const svg = chart.renderToSVGString();
	chart.dispose();
	return svg.replace("<svg ", `<svg role="img" aria-label="${titleOf(row)}" `);
}

function optionsOf({ unit }, cells, names) {
	const text = { color: COLORS.text, fontSize: 12 };
	const least = Math.min(...cells.map(({ min }) => min));
	const digits = Math.floor(Math.log10(Math.max(least, Number.MIN_VALUE)));
	return {
		animation: false,
		grid: MARGINS,
		xAxis: {
			type: "log",
			min: 10 ** digits,
			axisLabel: { ...text, formatter: (value) => figure(value, unit) },
			splitLine: { lineStyle: { color: COLORS.line } },
		},
		yAxis: {
			type: "category",
			data: cells.map(({ engine }) => names.get(engine)),
			axisLabel: text,
			axisTick: { show: false },
			axisLine: { lineStyle: { color: COLORS.line } },
		},
		series: [
			{
				type: "bar",
				barWidth: "60%",
				data: cells.map(({ engine, median }) => ({
					value: median,
					itemStyle: { color: engine.startsWith(OURS) ? COLORS.ours : COLORS.other },
				})),
				label: { ...text, show: true, position: "right", distance: 12, formatter: ({ value }) => figure(value, unit) },
			},
			{
				type: "custom",
				data: cells.map(({ min, max }, at) => [at, min, max]),
				encode: { x: [1, 2], y: 0 },
				renderItem: (_, { value, coord }) => {
					const [[left, y], [right]] = [coord([value(1), value(0)]), coord([value(2), value(0)])];
					const line = (shape) => ({ type: "line", shape, style: { stroke: COLORS.text, lineWidth: 1.5 } });
					return {
						type: "group",
						children: [
							line({ x1: left, y1: y, x2: right, y2: y }),
							line({ x1: left, y1: y - 4, x2: left, y2: y + 4 }),
							line({ x1: right, y1: y - 4, x2: right, y2: y + 4 }),
						],
					};
				},
			},
		],
	};
}
