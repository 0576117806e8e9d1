"""The official Python client against a server, as a test plays it: one JSON line for each thing that was seen.

usage: mcp_client.py tour   TARGET MODE
       mcp_client.py follow TARGET MODE NAMESPACE NAME
       mcp_client.py wait   TARGET MODE NAMESPACE NAME [CURSOR]

TARGET is a URL, or `stdio:` and a command line whose words are separated by `|`. MODE is `legacy` (2025-11-25) or `auto` (2026-07-28).
"""

import json
import sys
import warnings

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

warnings.simplefilter("ignore")
ANSWER_CHARS = 25_000
# Seconds that one call may take: more than it is asked to wait at the server.
CALL_PATIENCE = 20
ERA = {"legacy": "2025-11-25", "auto": "2026-07-28"}


def say(**what):
    print(json.dumps(what), flush=True)


def target(text):
    if not text.startswith("stdio:"):
        return text
    command, *args = text.removeprefix("stdio:").split("|")
    return StdioServerParameters(command=command, args=args)


def client(text, mode, **more):
    return Client(target(text), mode=mode, cache=None, read_timeout_seconds=120, **more)


async def tour(text, mode):
    """Everything once: what is listed, what each tool says, what is refused. The client itself checks answers against their schemas."""
    async with client(text, mode) as session:
        assert session.protocol_version == ERA[mode], session.protocol_version
        tools = await session.list_tools()
        assert not tools.next_cursor, "all tools are in the first page"
        range_ = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2030-01-01T00:00:00Z"}
        # Tools that need a name get one below.
        arguments = {tool.name: {} for tool in tools.tools if not tool.input_schema.get("required")}
        for name in ("check_node_health", "check_pod_issues", "check_volume_issues", "analyze_recent_changes", "check_resource_limits"):
            arguments[name] = dict(range_)
        arguments["watch_changes"] = {"timeoutSeconds": 0}
        arguments["history"] = {"kind": "Deployment", "name": "web", "namespace": "shop"}
        arguments["object"] = {"kind": "Deployment", "name": "web", "namespace": "shop"}
        arguments["k0rdent.mgmt.events.list"] = {"namespace": "shop"}
        arguments["k0rdent.mgmt.clusterDeployments.getState"] = {"name": "eu-prod"}
        arguments["monitor_get"] = {"namespace": "kcm-system", "name": "eu-prod"}
        arguments["monitor_wait"] = {"namespace": "kcm-system", "name": "eu-prod"}
        for name, given in sorted(arguments.items()):
            result = await session.call_tool(name, given)
            length = len(result.model_dump_json(by_alias=True, exclude_none=True))
            assert length <= ANSWER_CHARS, f"{name}: {length}"
            assert not result.is_error, f"{name}: {result.content}"
            say(tool=name, summary=result.structured_content["summary"], characters=length)
        resources = await session.list_resources()
        templates = await session.list_resource_templates()
        prompts = await session.list_prompts()
        say(resources=[str(of.uri) for of in resources.resources], templates=len(templates.resource_templates), prompts=[of.name for of in prompts.prompts])
        for of in resources.resources[:2]:
            read = await session.read_resource(str(of.uri))
            log = json.loads(read.contents[0].text)
            say(read=str(of.uri), phase=log["monitor"]["now"]["phase"], updates=len(log["updates"]))
        prompt = await session.get_prompt("diagnose_cluster_health", {"focus_area": "pods"})
        assert "check_pod_issues" in prompt.messages[0].content.text
        reference = types.PromptReference(type="ref/prompt", name="investigate_pod_failure")
        found = await session.complete(reference, {"name": "namespace", "value": "sh"})
        say(completion=found.completion.values)
        for uri in ("nonsense://x", "k0rdent://cluster-monitor/kcm-system/nobody", "k0rdent://podlogs/a/b/c"):
            try:
                await session.read_resource(uri)
                raise AssertionError(f"{uri} was read")
            except MCPError as error:
                say(refused=uri, message=str(error))
    say(done=True)


async def follow(text, mode, namespace, name):
    """Follows a monitor to its terminal update by subscription; what a notification carries is the update itself."""
    uri = f"k0rdent://cluster-monitor/{namespace}/{name}?await=true"
    ended = anyio.Event()

    async def seen(message):
        if isinstance(message, types.ResourceUpdatedNotification):
            delta = (message.params.meta or {}).get("delta")
            say(update=delta)
            if delta and delta["terminal"]:
                ended.set()

    async with client(text, mode, message_handler=seen) as session:
        assert session.protocol_version == ERA[mode], session.protocol_version
        if mode == "legacy":
            await session.subscribe_resource(uri)
            say(subscribed=True)
            await ended.wait()
        else:
            async with session.listen(resource_subscriptions=[uri]) as subscription:
                assert subscription.honored.resource_subscriptions == [uri]
                say(subscribed=True)
                # The server closes the stream after the last update.
                async for _ in subscription:
                    pass
            assert ended.is_set(), "the stream ended before the terminal update"
    say(done=True)


async def wait(text, mode, namespace, name, cursor=None):
    """Follows a monitor by the waiting tool, call after call. A server that is gone for a while is come back to with the cursor."""
    while True:
        try:
            async with client(text, mode) as session:
                while True:
                    told = []
                    given = {"namespace": namespace, "name": name, "timeoutSeconds": 10}
                    if cursor:
                        given["cursor"] = cursor

                    async def progress(done, total, message):
                        told.append((done, total, message))

                    # Whatever becomes of a call whose server is killed, the client comes back.
                    with anyio.fail_after(CALL_PATIENCE):
                        result = await session.call_tool("monitor_wait", given, progress_callback=progress)
                    if result.is_error:
                        # Not recorded yet.
                        await anyio.sleep(0.2)
                        continue
                    answer = result.structured_content
                    cursor = answer["nextCursor"]
                    for update in answer["updates"]:
                        say(update=update, cursor=update["cursor"], progress=len(told))
                    if answer["done"]:
                        say(done=True)
                        return
        except BaseException as error:  # noqa: BLE001 - an ExceptionGroup of whatever a killed server causes
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            say(lost=type(error).__name__)
            await anyio.sleep(0.3)


COMMANDS = {"tour": tour, "follow": follow, "wait": wait}

if __name__ == "__main__":
    anyio.run(COMMANDS[sys.argv[1]], *sys.argv[2:])
