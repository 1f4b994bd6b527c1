import { ErrorResponse, UserManager, WebStorageStateStore } from "oidc-client-ts";

/** The page server's description of the deployment. */
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

/** The person who is signed in. */
export interface Person {
  readonly id: string;
  readonly name: string;
}

/** Tabs of one browser announce a sign-out on this channel, with the user. Two tabs may have two users. */
const CHANNEL = "carrel";
interface Notice {
  readonly signedOut: string;
}
/** How long a sign-out waits for the issuer to revoke a token, in ms. */
const REVOKE_WITHIN = 3_000;

/** The state that travels through the issuer and back: the page's address, its user, and the goal. */
interface Left {
  readonly at: string;
  readonly whose?: string;
  readonly goal?: Goal;
}

/** The task that the page continues after a new sign-in that it requested. */
export type Goal = "erase";

/**
 * Sign-in by authorization code with PKCE. Each window signs in for itself, so two windows can have two users. A page
 * keeps its user for its whole life.
 */
export class SignIn {
  readonly #users: UserManager;
  readonly #here = `${location.origin}/`;
  readonly #client: string;
  #person: string | undefined;
  #channel: BroadcastChannel | undefined;
  /** The sign-in has ended, and only a person can make another. */
  over = false;
  /** The task to continue after a new sign-in. Undefined if another person signed in. */
  goal: Goal | undefined;

  constructor(config: Config) {
    this.#client = config.clientId;
    this.#users = new UserManager({
      authority: config.issuer, client_id: config.clientId, scope: config.scope, redirect_uri: this.#here,
      automaticSilentRenew: false, requestTimeoutInSeconds: 10,
      // Session storage: other windows and the browser's next user cannot read it.
      userStore: new WebStorageStateStore({ store: sessionStorage }), stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }

  /** Handles the issuer's answer in the address, if there is one. Returns the person, or undefined without a sign-in. */
  async finish(): Promise<Person | undefined> {
    const query = new URLSearchParams(location.search);
    if (query.has("state") && (query.has("code") || query.has("error"))) {
      try {
        const user = await this.#users.signinCallback();
        const { at = "", whose, goal } = (user?.state ?? {}) as Partial<Left>;
        // Another person than the one who left begins on the start page.
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

  /** Redirects to the issuer, which returns to the current address of the page. */
  async start(): Promise<void> {
    await this.#users.signinRedirect({ state: this.#left() });
  }

  #left(goal?: Goal): Left {
    return { at: location.hash, ...(this.#person !== undefined && { whose: this.#person }), ...(goal && { goal }) };
  }

  /**
   * Redirects to the issuer, which must ask the person to sign in again: its own session may have been ended, or may be
   * too old for the goal. Both parameters request this, and some issuers support only one of them.
   */
  async anew(goal?: Goal): Promise<void> {
    await this.#users.signinRedirect({ max_age: 0, prompt: "login", state: this.#left(goal) });
  }

  /** Returns an access token of the page's own person that is valid for at least another minute. */
  token = async (): Promise<string> => {
    let user = await this.#users.getUser();
    // A browser may restore a page after another person has signed in in its window.
    if (user && user.profile.sub !== this.#person) user = null;
    if (!this.over && user && (user.expires_in ?? Infinity) < 60 && user.refresh_token) {
      try {
        user = await this.#users.signinSilent();
      } catch (error) {
        // A token that is still valid is used until it expires. A refusal of the issuer is final.
        if (user?.expired && !(error instanceof ErrorResponse)) throw new Error("the sign-in service cannot be reached", { cause: error });
      }
    }
    this.over = !user || user.expired === true;
    if (!user || this.over) throw new Error("your sign-in has expired");
    return user.access_token;
  };

  /** Calls the listener when the page's person signs out in another tab of this browser. Returns a function that stops it. */
  onSignedOut(listener: () => void): () => void {
    const channel = this.#channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }) => {
      if (this.#person !== undefined && (data as Partial<Notice> | null)?.signedOut === this.#person) listener();
    };
    const close = (): void => channel.close();
    window.addEventListener("pagehide", close, { once: true }); // an open channel keeps the browser from restoring the page
    return close;
  }

  /** Removes the tokens of the page's person, and asks the issuer to revoke the refresh token. */
  async end(): Promise<void> {
    this.over = true;
    const user = await this.#users.getUser();
    if (!user || user.profile.sub !== this.#person) return; // another person has signed in in this window since
    await this.#revoke();
    await this.#users.removeUser();
  }

  /** Ignores a failure: some issuers cannot revoke, and the sign-out must succeed without it. */
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
