import { CarrelClient } from "carrel-client";

/** What an example needs: a connected client, and the thread that the address names. */
export interface Session {
  readonly client: CarrelClient;
  readonly threadId: string;
}

/**
 * Connects to the local stack as the user in the address: `?user=alice&thread=t-1`. The local stack's issuer gives a token without
 * a sign-in. Your own page gets its access token from your sign-in.
 */
export async function session(): Promise<Session> {
  const { websocket, issuer } = await (await fetch("/config.json")).json() as { websocket: string; issuer: string };
  const address = new URL(location.href);
  const threadId = address.searchParams.get("thread") ?? `t-${crypto.randomUUID()}`;
  address.searchParams.set("thread", threadId);
  history.replaceState(null, "", address);
  const user = address.searchParams.get("user") ?? "alice";
  const token = async (): Promise<string> => {
    const answer = await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams({ user }), signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error("the sign-in service gives no token");
    return (await answer.json() as { access_token: string }).access_token;
  };
  const client = new CarrelClient({ url: websocket, token });
  client.connect();
  client.open(threadId);
  return { client, threadId };
}
