/** Throws with the stream and the event at the first violation; returns how many passed. */
export function verify(streams: unknown): Promise<{ streams: number; events: number }>;
