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

/** Tabs of one browser tell each other here who has signed out. Two tabs may be two users. */
const CHANNEL = "carrel";
interface Notice {
  readonly signedOut: string;
}
/** How long a sign-out waits for the issuer to revoke a token, in ms. */
const REVOKE_WITHIN = 3_000;

/** What comes back from the issuer with its answer: where the page was, and whose it was. */
interface Left {
  readonly at: string;
  readonly whose?: string;
  readonly goal?: Goal;
}

/** What the page goes on with after a new sign-in that it asked for. */
export type Goal = "erase";

/**
 * Sign-in by authorization code with PKCE. A window has its own, so two windows can be two users; one page is one
 * person's for as long as it lives.
 */
export class SignIn {
  readonly #users: UserManager;
  readonly #here = `${location.origin}/`;
  readonly #client: string;
  #person: string | undefined;
  #channel: BroadcastChannel | undefined;
  /** The sign-in is over, and only a person can make another. */
  over = false;
  /** What the person left for a new sign-in to do. Nothing if somebody else came back. */
  goal: Goal | undefined;

  constructor(config: Config) {
    this.#client = config.clientId;
    this.#users = new UserManager({
      authority: config.issuer, client_id: config.clientId, scope: config.scope, redirect_uri: this.#here,
      automaticSilentRenew: false, requestTimeoutInSeconds: 10,
      // Nothing that another window, or who uses this browser next, could find.
      userStore: new WebStorageStateStore({ store: sessionStorage }), stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }

  /** Takes what the issuer sent back, if it did; returns who it is, or nothing if nobody is signed in. */
  async finish(): Promise<Person | undefined> {
    const query = new URLSearchParams(location.search);
    if (query.has("state") && (query.has("code") || query.has("error"))) {
      try {
        const user = await this.#users.signinCallback();
        const { at = "", whose, goal } = (user?.state ?? {}) as Partial<Left>;
        // Somebody else than who left does not begin where that one was.
        history.replaceState(null, "", whose === undefined || whose === user?.profile.sub ? `/${at}` : "/");
        if (whose !== undefined && whose === user?.profile.sub) this.goal = goal;
      } catch (error) {
        history.replaceState(null, "", "/");
        throw error;
      }
    } else if (location.search) history.replaceState(null, "", `/${location.hash}`);
    const user = await this.#users.getUser();
    if (!user) return undefined;
    const { sub, preferred_username, name } = user.profile;
    this.#person = sub;
    return { id: sub, name: preferred_username ?? name ?? sub };
  }

  /** Leaves for the issuer's page, and comes back to where the page is now. */
  async start(): Promise<void> {
    await this.#users.signinRedirect({ state: this.#left() });
  }

  #left(goal?: Goal): Left {
    return { at: location.hash, ...(this.#person !== undefined && { whose: this.#person }), ...(goal && { goal }) };
  }

  /**
   * Leaves for the issuer's page, which must ask the person anew: its own session may be the one that was ended, or too old
   * for the goal. Both parameters mean that, and some issuers know only one of them.
   */
  async anew(goal?: Goal): Promise<void> {
    await this.#users.signinRedirect({ max_age: 0, prompt: "login", state: this.#left(goal) });
  }

  /** An access token of the page's own person that is good for another minute at least. */
  token = async (): Promise<string> => {
    let user = await this.#users.getUser();
    // A browser may bring a page back in whose window somebody else has signed in since.
    if (user && user.profile.sub !== this.#person) user = null;
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

  /** Calls the listener when the page's person signs out in another tab of this browser; returns what ends that. */
  onSignedOut(listener: () => void): () => void {
    const channel = this.#channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }) => {
      if (this.#person !== undefined && (data as Partial<Notice> | null)?.signedOut === this.#person) listener();
    };
    const close = (): void => channel.close();
    window.addEventListener("pagehide", close, { once: true }); // an open one keeps a browser from bringing the page back
    return close;
  }

  /** Drops the tokens of the page's person. The issuer is asked to revoke the refresh token. */
  async end(): Promise<void> {
    this.over = true;
    const user = await this.#users.getUser();
    if (!user || user.profile.sub !== this.#person) return; // somebody else has signed in in this window since
    await this.#revoke();
    await this.#users.removeUser();
  }

  /** A failure is ignored: some issuers cannot revoke, and nobody stays signed in for that. */
  async #revoke(): Promise<void> {
    const revoked = this.#users.revokeTokens(["refresh_token"]).catch(() => {});
    await Promise.race([revoked, new Promise((done) => setTimeout(done, REVOKE_WITHIN))]);
  }

  /** Signs out of this browser: in all tabs of the page's person, and at the issuer. */
  async out(): Promise<void> {
    // On the page's own channel: another one of the same page would receive it too.
    if (this.#person !== undefined) this.#channel?.postMessage({ signedOut: this.#person } satisfies Notice);
    await this.#revoke();
    const ends = (await this.#users.metadataService.getMetadata()).end_session_endpoint;
    // Cognito needs client_id and logout_uri: without them it keeps its own session, and the next sign-in is the same
    // person's. post_logout_redirect_uri is OpenID Connect's name of the same address.
    const query = { client_id: this.#client, logout_uri: this.#here, post_logout_redirect_uri: this.#here };
    if (ends) await this.#users.signoutRedirect({ extraQueryParams: query });
    else {
      await this.#users.removeUser();
      location.replace("/");
    }
  }
}
