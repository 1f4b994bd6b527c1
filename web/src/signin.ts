import { ErrorResponse, UserManager, WebStorageStateStore } from "oidc-client-ts";

/** What the page server says of the deployment. */
export interface Config {
  readonly websocket: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
}

export async function loadConfig(): Promise<Config> {
  const answer = await fetch("/config.json", { signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`the page's configuration cannot be read (${answer.status})`);
  const config = await answer.json() as Partial<Config>;
  for (const name of ["websocket", "issuer", "clientId", "scope"] as const) {
    if (typeof config[name] !== "string") throw new Error(`the page's configuration lacks ${name}`);
  }
  return config as Config;
}

/** Who is signed in. */
export interface Person {
  readonly id: string;
  readonly name: string;
}

/** Sign-in by authorization code with PKCE. A window has its own, so two windows can be two users. */
export class SignIn {
  readonly #users: UserManager;
  /** The sign-in is over, and only a person can make another. */
  over = false;

  constructor(config: Config) {
    const here = `${location.origin}/`;
    this.#users = new UserManager({
      authority: config.issuer, client_id: config.clientId, scope: config.scope,
      redirect_uri: here, post_logout_redirect_uri: here,
      automaticSilentRenew: false, userStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }

  /** Takes what the issuer sent back, if it did; returns who it is, or nothing if nobody is signed in. */
  async finish(): Promise<Person | undefined> {
    const query = new URLSearchParams(location.search);
    if (query.has("state") && (query.has("code") || query.has("error"))) {
      try {
        const user = await this.#users.signinCallback();
        history.replaceState(null, "", `/${String(user?.state ?? "")}`);
      } catch (error) {
        history.replaceState(null, "", "/");
        throw error;
      }
    } else if (location.search) history.replaceState(null, "", `/${location.hash}`);
    const user = await this.#users.getUser();
    if (!user) return undefined;
    const { sub, preferred_username, name } = user.profile;
    return { id: sub, name: preferred_username ?? name ?? sub };
  }

  /** Leaves for the issuer's page, and comes back to where the page is now. */
  async start(): Promise<void> {
    await this.#users.signinRedirect({ state: location.hash });
  }

  /** An access token that is good for another minute at least. */
  token = async (): Promise<string> => {
    let user = await this.#users.getUser();
    if (!this.over && user && (user.expires_in ?? Infinity) < 60 && user.refresh_token) {
      try {
        user = await this.#users.signinSilent();
      } catch (error) {
        // A token that is good for some seconds is used while it is. What the issuer has refused it will not give later.
        if (user?.expired && !(error instanceof ErrorResponse)) throw new Error("the sign-in service cannot be reached", { cause: error });
      }
    }
    this.over = !user || user.expired === true;
    if (!user || this.over) throw new Error("your sign-in has expired");
    return user.access_token;
  };

  async out(): Promise<void> {
    const ends = (await this.#users.metadataService.getMetadata()).end_session_endpoint;
    if (ends) await this.#users.signoutRedirect();
    else {
      await this.#users.removeUser();
      location.replace("/");
    }
  }
}
