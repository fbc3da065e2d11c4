// What the app says on its own account: banners that stay until dealt with, one short-lived toast that may
// offer a way back, and the screen that is there while there is no store.

import { explain } from "./advice.js";
import { element } from "./element.js";

const toastMs = 10_000;
const dismissed = new Set();
let toastTimer;

/**
 * One banner per code, and none that was dismissed: a fault that repeats does not pile up. `level` is
 * "fault" (a reload helps: it opens the store anew), "warning" or "notice".
 */
export function showBanner({ code, title, action, detail }, { level }) {
	const id = `banner-${code}`;
	if (element(id) || dismissed.has(code)) return;
	const banner = document.createElement("div");
	banner.id = id;
	banner.className = "banner";
	banner.dataset.level = level;
	banner.dataset.code = code;
	const badge = document.createElement("code");
	badge.textContent = code;
	const text = document.createElement("p");
	const strong = document.createElement("strong");
	strong.textContent = `${title}. `;
	const small = document.createElement("small");
	small.textContent = detail;
	text.append(strong, action, small);
	banner.append(badge, text);
	if (level === "fault") banner.append(button("Reload", () => location.reload()));
	const dismiss = () => {
		dismissed.add(code);
		banner.remove();
	};
	banner.append(button("Dismiss", dismiss));
	element("banners").append(banner);
}

/** A banner for something that went wrong. That writes fail since is no news while the first failure is still shown. */
export function reportFault(explanation) {
	if (explanation.code === "POISONED" && document.querySelector('.banner[data-level="fault"]')) return;
	showBanner(explanation, { level: "fault" });
}

/** Runs what a person asked for; a refusal becomes a banner. */
export async function attempt(action) {
	try {
		await action();
	} catch (error) {
		reportFault(explain(error));
	}
}

/** `undo` is called at most once, when its button is pressed before the toast goes. */
export function showToast(text, undo) {
	const toast = element("toast");
	const message = document.createElement("span");
	message.textContent = text;
	toast.replaceChildren(message);
	if (undo) {
		const undoButton = button("Undo", () => {
			hideToast();
			undo();
		});
		undoButton.id = "undo";
		toast.append(undoButton);
	}
	toast.dataset.shown = "true";
	clearTimeout(toastTimer);
	toastTimer = setTimeout(hideUnlessInUse, toastMs);
}

/** Someone on their way to the button gets another while. */
function hideUnlessInUse() {
	const toast = element("toast");
	if (toast.matches(":hover, :focus-within")) toastTimer = setTimeout(hideUnlessInUse, toastMs);
	else hideToast();
}

function hideToast() {
	delete element("toast").dataset.shown;
	element("toast").replaceChildren();
}

/** The screen instead of the app: why there is no store, and the way on. */
export function showStart({ code, title, action, detail }, onRetry) {
	document.documentElement.dataset.start = code;
	element("start-title").textContent = title;
	element("start-text").textContent = action;
	element("start-code").textContent = code === "LOCKED" ? "" : `${code}: ${detail}`;
	const retry = element("retry");
	retry.hidden = false;
	retry.onclick = onRetry;
	retry.focus();
}

export function hideStart() {
	element("start").hidden = true;
	element("app").hidden = false;
	delete document.documentElement.dataset.start;
}

function button(label, onClick) {
	const node = document.createElement("button");
	node.type = "button";
	node.className = "quiet";
	node.textContent = label;
	node.addEventListener("click", onClick);
	return node;
}
