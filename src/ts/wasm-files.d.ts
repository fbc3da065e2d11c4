/** Files that the bundler of `holdfast/inline` turns into text. */

declare module "*.wasm" {
	const base64: string;
	export default base64;
}

declare module "*.txt" {
	const text: string;
	export default text;
}
