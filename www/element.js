// The page's own elements by id, and text that is only written when it changed: the panel is refreshed
// several times a second, and an untouched node costs no layout and is not read out again.

export function element(id) {
	return document.getElementById(id);
}

export function setText(id, text) {
	const node = element(id);
	if (node.textContent !== text) node.textContent = text;
}
