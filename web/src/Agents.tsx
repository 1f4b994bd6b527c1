import type { Agent, ThreadState } from "carrel-client";

interface Props {
  readonly agents: readonly Agent[];
  readonly chosen: string;
  readonly onChoose: (name: string) => void;
}

/** The choice of the agent that answers the next message. */
export function Agents({ agents, chosen, onChoose }: Props) {
  const description = agents.find(({ name }) => name === chosen)?.description;
  return (
    <select aria-label="Agent that answers" title={description} value={chosen} onChange={(event) => onChoose(event.target.value)}>
      {agents.map(({ name }) => <option key={name} value={name}>{name}</option>)}
    </select>
  );
}

/** Returns the wanted agent, or the default if the user cannot use it. Undefined: the user has no choice. */
export function chosenAgent(agents: readonly Agent[], wanted: string | undefined): string | undefined {
  return (agents.find(({ name }) => name === wanted) ?? agents[0])?.name;
}

/** Returns the agent that answered last in the thread, as far as its messages are loaded. */
export function lastAgent({ messages, runs }: ThreadState): string | undefined {
  const last = messages.at(-1);
  return last && runs.get(last.id)?.agent;
}
