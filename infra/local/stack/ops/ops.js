// The page /ops polls /ops.json every second and shows the current state. All text is inserted as text, never as HTML,
// because it contains messages of users and models.
"use strict";

const keptLines = 600; // of the log
const history = 60; // seconds that a curve shows
const find = (id) => document.getElementById(id);
const log = [];
const curves = new Map();
let nextLine = 0; // the number of the first log line to request
let last;

function cell(value, kind) {
  const td = document.createElement("td");
  td.textContent = value;
  if (kind) td.className = kind;
  return td;
}

// rows replaces the rows of a table. Each row is a list of cells: a text, or [text, class]. An empty table shows
// emptyText.
function rows(id, list, emptyText) {
  const body = find(id).tBodies[0];
  const elements = list.map((columns) => {
    const tr = document.createElement("tr");
    tr.append(...columns.map((c) => (Array.isArray(c) ? cell(...c) : cell(c))));
    return tr;
  });
  if (elements.length === 0 && emptyText) {
    const td = cell(emptyText, "none");
    td.colSpan = 20;
    const tr = document.createElement("tr");
    tr.append(td);
    elements.push(tr);
  }
  body.replaceChildren(...elements);
}

// duration formats a time span.
function duration(ms) {
  if (!Number.isFinite(ms)) return "";
  const s = Math.abs(ms) / 1000;
  let text = `${Math.round(s / 3600)} h`;
  if (s < 10) text = `${s.toFixed(1)} s`;
  else if (s < 100) text = `${Math.round(s)} s`;
  else if (s < 5400) text = `${Math.round(s / 60)} min`;
  return ms < 0 ? `-${text}` : text;
}

const sum = (by) => Object.values(by ?? {}).reduce((a, b) => a + b, 0);
const metric = (now, name) => sum(now.metrics[name]);
const pairs = (o) => Object.entries(o ?? {}).map(([k, v]) => `${k} ${v}`).join("  ");
const round = (n) => (n >= 10 ? Math.round(n) : Math.round(n * 10) / 10);
const requests = (now) => now.usage.reduce((n, u) => n + u.requests, 0);
const written = (now) => now.usage.reduce((n, u) => n + u.writeUnits, 0);
const records = (now) => now.usage.find((u) => u.caller === "TurnFunction")?.operations.PutItem ?? 0;

// rate returns the growth of a figure per second since the last response.
function rate(now, of) {
  if (!last || now.at <= last.at) return 0;
  return Math.max(0, ((of(now) - of(last)) * 1000) / (now.at - last.at));
}

const svg = "http://www.w3.org/2000/svg";

// curve draws the last minute of a figure.
function curve(name, value) {
  const values = curves.get(name) ?? [];
  values.push(value);
  values.splice(0, values.length - history);
  curves.set(name, values);
  const top = Math.max(1, ...values);
  const drawing = document.createElementNS(svg, "svg");
  drawing.setAttribute("viewBox", `0 0 ${history - 1} 20`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg, "polyline");
  line.setAttribute("points", values.map((v, i) => `${history - values.length + i},${19 - (v / top) * 18}`).join(" "));
  drawing.append(line);
  return drawing;
}

function figure(name, value, { curved = false, bad = false } = {}) {
  const dl = document.createElement("dl");
  dl.className = bad ? "figure bad" : "figure";
  const dt = document.createElement("dt");
  dt.textContent = name;
  const dd = document.createElement("dd");
  dd.textContent = round(value);
  dl.append(dt, dd);
  if (curved) dl.append(curve(name, value));
  return dl;
}

function figures(now) {
  const runs = now.census.runs ?? [];
  const of = (status) => runs.filter((r) => r.status === status).length;
  const violations = metric(now, "IsolationViolation");
  const residue = metric(now, "Residue");
  find("figures").replaceChildren(
    figure("users", now.census.people?.length ?? 0),
    figure("sockets", now.gateway.open),
    figure("running", of("running") + of("admitted"), { curved: true }),
    figure("queued", of("queued"), { curved: true }),
    figure("posts per s", rate(now, (m) => m.gateway.posted), { curved: true }),
    figure("frames in per s", rate(now, (m) => m.gateway.received), { curved: true }),
    figure("log writes per s", rate(now, records), { curved: true }),
    figure("DynamoDB per s", rate(now, requests), { curved: true }),
    figure("write units per s", rate(now, written), { curved: true }),
    figure("runs died", metric(now, "RunsDied"), { bad: metric(now, "RunsDied") > 0 }),
    figure("violations", violations, { bad: violations > 0 }),
    figure("residue", residue, { bad: residue > 0 }),
  );
}

function tables(now) {
  const people = now.census.people ?? [];
  rows("users", people.map((p) => [
    p.erasing ? [`${p.user} (erasing)`, "bad"] : p.user, p.connections.length, p.slots, p.queued, p.threads, p.records,
    p.items,
  ]), now.problem ?? "No users yet.");
  rows("runs", (now.census.runs ?? []).map((r) => [
    [r.cancel && !r.ended ? `${r.status}, to be cancelled` : r.status, r.status], r.user, r.run, r.thread, r.agent,
    duration(now.at - r.created), r.ended ? duration(r.ended - r.created) : "", r.attempts,
    r.status === "running" ? [duration(r.lease - now.at), r.lease < now.at ? "bad" : ""] : "",
  ]), "No runs.");
  rows("connections", people.flatMap((p) => p.connections.map(
    (c) => [p.user, c.id, c.thread, c.n, duration(now.at - c.connected)])), "No connections.");
  rows("metrics", Object.keys(now.metrics).sort().map(
    (name) => [name, round(metric(now, name)), [pairs(now.metrics[name]), "text"]]), "No metrics yet.");
  const before = new Map((last?.usage ?? []).map((u) => [u.caller, u.requests]));
  const perSecond = (u) => ((u.requests - (before.get(u.caller) ?? 0)) * 1000) / (now.at - last.at);
  rows("usage", now.usage.map((u) => [
    u.caller, u.requests, last ? round(perSecond(u)) : "", u.readUnits, u.writeUnits, [pairs(u.operations), "text"],
    [pairs(u.faults), "text"],
  ]), "No requests yet.");
  const violations = find("violations");
  violations.hidden = now.violations.length === 0;
  violations.textContent = now.violations.join("\n");
  rows("functions", now.functions.map(
    (f) => [f.id, f.name, f.timeout, f.memoryMB, f.perTenant ? "one tenant each" : "shared"]));
  rows("endpoints", Object.entries(now.endpoints));
}

// bills shows what the functions and the newest runs have used. Only runs have a price, per million runs.
function bills(meters) {
  const use = (name, u, price) => [
    name, price, u.invocations, round(u.gbSeconds * 1000) / 1000, u.requests, u.readUnits, u.writeUnits, u.posts,
    u.sent, u.received,
  ];
  const connections = `${round(meters.connections.minutes)} minutes of ${meters.connections.opened} connections`;
  rows("meters", [
    use(`everything, with ${connections}`, meters.total, ""),
    ...Object.keys(meters.functions).sort().map((name) => use(name, meters.functions[name], "")),
    ...meters.runs.map((r) => use(`run ${r.id}`, r, round(r.dollars * 1e6))),
  ]);
}

// lines shows the log lines that contain the filter's text.
function lines() {
  const text = find("filter").value.toLowerCase();
  const shown = log.filter((line) => line.toLowerCase().includes(text));
  const pre = find("log");
  pre.textContent = shown.join("\n");
  find("shown").textContent = `${shown.length} of the newest ${log.length} lines`;
  if (find("follow").checked) pre.scrollTop = pre.scrollHeight;
}

function pulse(text, bad) {
  find("pulse").textContent = text;
  find("pulse").className = bad ? "bad" : "";
}

// poll requests the current state and shows it, again and again.
async function poll() {
  try {
    const response = await fetch(`/ops.json?lines=${nextLine}`,
      { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const now = await response.json();
    if (now.next < nextLine) { // the stack was restarted, and its log starts again
      log.length = 0;
      nextLine = 0;
    } else {
      log.push(...now.lines);
      log.splice(0, log.length - keptLines);
      nextLine = now.next;
    }
    figures(now);
    tables(now);
    bills(now.meters);
    if (now.lines.length > 0) lines();
    last = now;
    pulse(now.problem ?? `Live: ${now.census.items} items, read in ${now.census.took}.`, Boolean(now.problem));
  } catch (error) {
    pulse(`The stack does not answer (${error.message}). This page shows its last state.`, true);
  }
  setTimeout(poll, document.hidden ? 5000 : 1000);
}

find("filter").addEventListener("input", lines);
find("follow").addEventListener("change", lines);
poll();
