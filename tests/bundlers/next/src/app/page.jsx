import { open } from "holdfast";
import Visits from "./visits.jsx";

// Rendered by the server for every request.
export const dynamic = "force-dynamic";

export default function Page() {
	return (
		<main>
			<p>{`Server component: open is a ${typeof open}.`}</p>
			<Visits />
		</main>
	);
}
