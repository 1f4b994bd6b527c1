import { createRoot } from "react-dom/client";
import { CarrelClient } from "carrel-client";
import { App } from "./App.tsx";
import { Drafts } from "./drafts.ts";
import { said } from "./said.ts";
import { loadConfig, SignIn } from "./signin.ts";
import "./style.css";

const root = createRoot(document.getElementById("root")!);

// A browser restores pages as they were left, and another person may have signed in since.
window.addEventListener("pagehide", () => { document.documentElement.hidden = true; });
window.addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });

/** Shows a signed-in person their page, and everyone else the sign-in. */
async function start(): Promise<void> {
  const config = await loadConfig();
  const signIn = new SignIn(config);
  try {
    const person = await signIn.finish();
    if (person === undefined) return welcome(signIn);
    const client = new CarrelClient({ url: config.websocket, token: signIn.token });
    root.render(<App client={client} signIn={signIn} person={person} drafts={new Drafts(person.id)} />);
  } catch (error) {
    welcome(signIn, `Signing in did not work, try again: ${said(error)}.`);
  }
}

function welcome(signIn: SignIn, fault?: string): void {
  const enter = (): void => {
    signIn.start().catch((error: unknown) => welcome(signIn, `The sign-in page cannot be reached, try again: ${said(error)}.`));
  };
  root.render(
    <main className="welcome">
      <h1>Carrel</h1>
      <p>Talk with an agent. Your threads are yours alone: no other user sees them.</p>
      {fault && <p className="failure" role="alert">{fault}</p>}
      <button className="primary" onClick={enter}>Sign in</button>
    </main>,
  );
}

start().catch((error: unknown) => {
  root.render(
    <main className="welcome">
      <h1>Carrel</h1>
      <p className="failure" role="alert">The page could not start: {said(error)}.</p>
      <button className="primary" onClick={() => location.reload()}>Try again</button>
    </main>,
  );
});
