/** The open thread stands in the address, so that a reload stays on it. */
export function threadInAddress(): string | undefined {
  const [, id] = /^#\/t\/([A-Za-z0-9._:-]{1,128})$/.exec(location.hash) ?? [];
  return id;
}

export function addressOf(threadId: string): string {
  return `#/t/${threadId}`;
}
