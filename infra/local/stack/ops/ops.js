// The page /ops: it asks /ops.json each second and shows what has changed. All text goes in as text, never as HTML: it
// holds what people and models have said.
"use strict";

const kept = 600; // log lines
const history = 60; // seconds of a curve
const find = (id) => document.getElementById(id);
const log = [];
const curves = new Map();
let next = 0;
let last;

function cell(value, kind) {
  const td = document.createElement("td");
  td.textContent = value;
  if (kind) td.className = kind;
  return td;
}

// rows replaces a table's rows; each is a list of texts, or of [text, class].
function rows(id, list, nothing) {
  const body = find(id).tBodies[0];
  const made = list.map((columns) => {
    const tr = document.createElement("tr");
    tr.append(...columns.map((c) => (Array.isArray(c) ? cell(...c) : cell(c))));
    return tr;
  });
  if (made.length === 0 && nothing) {
    const td = cell(nothing, "none");
    td.colSpan = 20;
    const tr = document.createElement("tr");
    tr.append(td);
    made.push(tr);
  }
  body.replaceChildren(...made);
}

function span(ms) {
  if (!Number.isFinite(ms)) return "";
  const s = Math.abs(ms) / 1000;
  const text = s < 10 ? `${s.toFixed(1)} s` : s < 100 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
  return ms < 0 ? `-${text}` : text;
}

const sum = (by) => Object.values(by ?? {}).reduce((a, b) => a + b, 0);
const metric = (now, name) => sum(now.metrics[name]);
const pairs = (o) => Object.entries(o ?? {}).map(([k, v]) => `${k} ${v}`).join("  ");
const round = (n) => (n >= 10 ? Math.round(n) : Math.round(n * 10) / 10);
const requests = (now) => now.usage.reduce((n, u) => n + u.requests, 0);
const written = (now) => now.usage.reduce((n, u) => n + u.writeUnits, 0);
const records = (now) => now.usage.find((u) => u.caller === "TurnFunction")?.operations.PutItem ?? 0;

// rate is the growth of a figure a second since the last answer.
function rate(now, of) {
  if (!last || now.at <= last.at) return 0;
  return Math.max(0, ((of(now) - of(last)) * 1000) / (now.at - last.at));
}

const svg = "http://www.w3.org/2000/svg";

function curve(name, value) {
  const past = curves.get(name) ?? [];
  past.push(value);
  past.splice(0, past.length - history);
  curves.set(name, past);
  const top = Math.max(1, ...past);
  const picture = document.createElementNS(svg, "svg");
  picture.setAttribute("viewBox", `0 0 ${history - 1} 20`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg, "polyline");
  line.setAttribute("points", past.map((v, i) => `${history - past.length + i},${19 - (v / top) * 18}`).join(" "));
  picture.append(line);
  return picture;
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
    p.erasing ? [`${p.user} (erasing)`, "bad"] : p.user, p.connections.length, p.slots, p.queued, p.threads, p.records, p.items,
  ]), now.problem ?? "Nobody yet.");
  rows("runs", (now.census.runs ?? []).map((r) => [
    [r.cancel && !r.ended ? `${r.status}, to be cancelled` : r.status, r.status], r.user, r.run, r.thread, r.agent, span(now.at - r.created),
    r.ended ? span(r.ended - r.created) : "", r.attempts, r.status === "running" ? [span(r.lease - now.at), r.lease < now.at ? "bad" : ""] : "",
  ]), "None.");
  rows("connections", people.flatMap((p) => p.connections.map((c) => [p.user, c.id, c.thread, c.n, span(now.at - c.connected)])), "None.");
  rows("metrics", Object.keys(now.metrics).sort().map((name) => [name, round(metric(now, name)), [pairs(now.metrics[name]), "text"]]), "None yet.");
  const before = new Map((last?.usage ?? []).map((u) => [u.caller, u.requests]));
  rows("usage", now.usage.map((u) => [
    u.caller, u.requests, last ? round(((u.requests - (before.get(u.caller) ?? 0)) * 1000) / (now.at - last.at)) : "", u.readUnits, u.writeUnits,
    [pairs(u.operations), "text"], [pairs(u.faults), "text"],
  ]), "Nothing asked yet.");
  const violations = find("violations");
  violations.hidden = now.violations.length === 0;
  violations.textContent = now.violations.join("\n");
  rows("functions", now.functions.map((f) => [f.id, f.name, f.timeout, f.memoryMB, f.perTenant ? "of one tenant each" : "shared"]));
  rows("where", Object.entries(now.endpoints));
}

// bills is what the functions and the newest runs have used. Only a run's price is told: a million of it is what people compare.
function bills(read) {
  const use = (name, u, price) => [
    name, price, u.invocations, round(u.gbSeconds * 1000) / 1000, u.requests, u.readUnits, u.writeUnits, u.posts, u.sent, u.received,
  ];
  rows("meters", [
    use(`everything, with ${round(read.connections.minutes)} minutes of ${read.connections.opened} connections`, read.total, ""),
    ...Object.keys(read.functions).sort().map((name) => use(name, read.functions[name], "")),
    ...read.runs.map((r) => use(`run ${r.id}`, r, round(r.dollars * 1e6))),
  ]);
}

function lines() {
  const wanted = find("filter").value.toLowerCase();
  const shown = log.filter((line) => line.toLowerCase().includes(wanted));
  const pre = find("log");
  pre.textContent = shown.join("\n");
  find("shown").textContent = `${shown.length} of the newest ${log.length} lines`;
  if (find("follow").checked) pre.scrollTop = pre.scrollHeight;
}

function pulse(text, bad) {
  find("pulse").textContent = text;
  find("pulse").className = bad ? "bad" : "";
}

async function ask() {
  try {
    const answer = await fetch(`/ops.json?lines=${next}`, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    const now = await answer.json();
    if (now.next < next) log.length = 0; // another stack, which begins anew
    if (now.next < next) next = 0;
    else {
      log.push(...now.lines);
      log.splice(0, log.length - kept);
      next = now.next;
    }
    figures(now);
    tables(now);
    bills(now.meters);
    if (now.lines.length > 0) lines();
    last = now;
    pulse(now.problem ?? `Live. ${now.census.items} items, read in ${now.census.took}.`, Boolean(now.problem));
  } catch (error) {
    pulse(`The stack does not answer (${error.message}). What is shown is old.`, true);
  }
  setTimeout(ask, document.hidden ? 5000 : 1000);
}

find("filter").addEventListener("input", lines);
find("follow").addEventListener("change", lines);
ask();
