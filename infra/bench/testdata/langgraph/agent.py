"""An agent for benchmarks: its model needs no network, calls two tools and then streams 200 words."""

from datetime import datetime, timezone
from typing import Annotated, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode

WORDS = 200


class Scripted(BaseChatModel):
    """Answers by the number of tool results since the user's last message."""

    @property
    def _llm_type(self):
        return "scripted"

    def _chunks(self, messages):
        results = 0
        for message in messages:
            if isinstance(message, HumanMessage):
                results = 0
            if isinstance(message, ToolMessage):
                results += 1
        if results < 2:
            name, args = [("calculator", {"expression": "12*7"}), ("clock", {"zone": "UTC"})][results]
            yield AIMessageChunk(content="", tool_calls=[{"name": name, "args": args, "id": f"call-{results}"}])
            return
        for n in range(WORDS):
            yield AIMessageChunk(content=f"{n + 1} ")

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        whole = None
        for chunk in self._chunks(messages):
            whole = chunk if whole is None else whole + chunk
        message = AIMessage(content=whole.content, tool_calls=whole.tool_calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for message in self._chunks(messages):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                await run_manager.on_llm_new_token(message.content, chunk=chunk)
            yield chunk


@tool
def calculator(expression: str) -> str:
    """Evaluates an expression."""
    return "84"


@tool
def clock(zone: str) -> str:
    """Returns the time."""
    return datetime.now(timezone.utc).isoformat()


class State(TypedDict):
    messages: Annotated[list, add_messages]


model = Scripted()


async def respond(state: State):
    return {"messages": [await model.ainvoke(state["messages"])]}


def after(state: State):
    return "tools" if state["messages"][-1].tool_calls else END


builder = StateGraph(State)
builder.add_node("respond", respond)
builder.add_node("tools", ToolNode([calculator, clock]))
builder.add_edge(START, "respond")
builder.add_conditional_edges("respond", after)
builder.add_edge("tools", "respond")
graph = builder.compile()
