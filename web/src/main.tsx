import { createRoot } from "react-dom/client";
import { CarrelClient } from "carrel-client";
import { App } from "./App.tsx";
import { loadConfig, SignIn } from "./signin.ts";
import "./style.css";

const root = createRoot(document.getElementById("root")!);

/** Shows who is signed in their page, and everybody else the way in. */
async function start(): Promise<void> {
  const config = await loadConfig();
  const signIn = new SignIn(config);
  try {
    const name = await signIn.finish();
    if (name === undefined) return welcome(signIn);
    const client = new CarrelClient({ url: config.websocket, token: signIn.token });
    root.render(<App client={client} signIn={signIn} name={name} />);
  } catch (error) {
    welcome(signIn, `Signing in did not work: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function welcome(signIn: SignIn, fault?: string): void {
  const enter = (): void => {
    signIn.start().catch((error: unknown) => welcome(signIn, `The sign-in page cannot be reached: ${String(error)}.`));
  };
  root.render(
    <div className="welcome">
      <h1>Carrel</h1>
      {fault && <p role="alert">{fault}</p>}
      <button onClick={enter}>Sign in</button>
    </div>,
  );
}

start().catch((error: unknown) => {
  root.render(<p className="welcome" role="alert">The page could not start: {String(error)}. Reload it to try again.</p>);
});
