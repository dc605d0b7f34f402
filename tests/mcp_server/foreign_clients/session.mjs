// What a person's agent does with the server, through a TypeScript SDK: node session.mjs v1|v2|v2-auto URL|COMMAND…
// Prints what it saw as JSON.

const [generation, ...target] = process.argv.slice(2);
const told = [];
let finish;
const changed = new Promise((resolve) => (finish = resolve));

function note(uri) {
  told.push(uri);
  finish();
}

const overHttp = target[0].startsWith("http");
const spawned = { command: target[0], args: target.slice(1), env: process.env, stderr: "inherit" };
const { client, listen } = generation === "v1" ? await first() : await second(generation === "v2-auto");

async function first() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { ResourceUpdatedNotificationSchema } = await import("@modelcontextprotocol/sdk/types.js");
  const connected = new Client({ name: "typescript-v1", version: "1" });
  const way = overHttp ? new StreamableHTTPClientTransport(new URL(target[0])) : new StdioClientTransport(spawned);
  await connected.connect(way);
  connected.setNotificationHandler(ResourceUpdatedNotificationSchema, (news) => note(news.params.uri));
  return { client: connected, listen: (uri) => connected.subscribeResource({ uri }) };
}

async function second(newest) {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const options = newest ? { versionNegotiation: { mode: "auto" } } : {};
  const connected = new Client({ name: "typescript-v2", version: "1" }, options);
  const way = overHttp ? new StreamableHTTPClientTransport(new URL(target[0])) : new StdioClientTransport(spawned);
  await connected.connect(way);
  connected.setNotificationHandler("notifications/resources/updated", (news) => note(news.params.uri));
  const listened = (uri) => connected.listen({ resourceSubscriptions: [uri] });
  return { client: connected, listen: newest ? listened : (uri) => connected.subscribeResource({ uri }) };
}

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(result.content[0].text);
  return result.structuredContent;
}

const tools = (await client.listTools()).tools.map((tool) => tool.name);
const steps = [{ id: "greet", image: "python:3.12-slim", command: ["echo", "hello"] }];
const task = await call("create_task", { title: "Greet", pipeline: { name: "greet", steps } });
const uri = `task-manager://tasks/${task.id}`;
await listen(uri);
let run = await call("execute_task_workflow", { task_id: task.id });
while (!run.over) run = await call("wait_for_run", { run_id: run.id });
await changed;
const read = JSON.parse((await client.readResource({ uri: `task-manager://runs/${run.id}` })).contents[0].text);
const prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
await client.close();
console.log(JSON.stringify({ tools, status: run.status, read: read.status, told: [...new Set(told)], uri, prompts }));
process.exit(0);
