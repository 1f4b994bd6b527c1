import { CopilotChat, CopilotKitProvider, useInterrupt } from "@copilotkit/react-core/v2";
import "@copilotkit/react-core/v2/styles.css";
import { CarrelAgent } from "carrel-client/agui";
import { createRoot } from "react-dom/client";
import { session } from "../examples/session.ts";

const { client, threadId } = await session();
const agent = new CarrelAgent({ client, threadId });

/** Asks the person in the chat. A form of your own can read interrupt.responseSchema. */
function Questions() {
  useInterrupt({
    agentId: "default",
    render: ({ interrupt, resolve, cancel }) => (
      <div role="group" aria-label="Approval">
        <p>{interrupt?.message}</p>
        <button onClick={() => resolve({ approved: true } as never)}>Approve</button>
        <button onClick={() => cancel()}>Refuse</button>
      </div>
    ),
  });
  return null;
}

createRoot(document.getElementById("root")!).render(
  // CopilotKit names agents of the page so. Its type is the one of its own copy of @ag-ui/client.
  <CopilotKitProvider agents__unsafe_dev_only={{ default: agent as never }}>
    <Questions />
    <CopilotChat agentId="default" threadId={threadId} />
  </CopilotKitProvider>,
);
