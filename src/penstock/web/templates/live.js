// Live pages: parts of the page are replaced as the server sends them, ages go on counting, "/" goes to the filter.
// In: the event stream named by body[data-live]. Everything it inserts was escaped by the server's templates.
"use strict";
(() => {
  const connection = document.getElementById("connection");
  const announce = document.getElementById("announce");

  function span(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86400)} d`;
  }

  function count(root) {
    const now = Date.now();
    for (const time of root.querySelectorAll("time[data-since], time[data-until]")) {
      const moment = Date.parse(time.dateTime);
      let text;
      if ("since" in time.dataset) text = span((now - moment) / 1000);
      else text = moment <= now ? "now" : `in ${span((moment - now) / 1000)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function element(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  const byKey = (key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const listOf = (key) => document.querySelector(`[data-list="${CSS.escape(key.split("/", 1)[0])}"]`);

  // The focused link or field keeps the focus when the part around it is replaced.
  function focused(old) {
    const active = document.activeElement;
    if (!active || !old.contains(active)) return null;
    if (active.id) return `#${CSS.escape(active.id)}`;
    const href = active.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : active.name ? `[name="${CSS.escape(active.name)}"]` : null;
  }

  function opened(old) {
    return [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
  }

  function put(key, html) {
    const fresh = element(html);
    if (!fresh) return;
    const old = byKey(key);
    if (old) {
      const focus = focused(old);
      const open = opened(old);
      old.replaceWith(fresh);
      for (const id of open) fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
      if (focus) fresh.querySelector(focus)?.focus({ preventScroll: true });
    } else {
      const list = listOf(key);
      if (!list) return;
      list.append(fresh);
    }
    fresh.classList.add("fresh");
    count(fresh);
  }

  // `order` names every part there is: whatever else stands in a list is from before the connection was lost.
  function arrange(order) {
    const all = new Set(order);
    for (const one of document.querySelectorAll("[data-list] > [data-key]")) if (!all.has(one.dataset.key)) one.remove();
    for (const list of document.querySelectorAll("[data-list]")) {
      let before = list.firstElementChild;
      for (const key of order) {
        if (key.split("/", 1)[0] !== list.dataset.list || !key.includes("/")) continue;
        const one = byKey(key);
        if (!one || one.parentElement !== list) continue;
        if (one === before) before = before.nextElementSibling;
        else list.insertBefore(one, before);
      }
    }
  }

  function update(message) {
    for (const key of message.gone) byKey(key)?.remove();
    for (const [key, html] of Object.entries(message.changed)) put(key, html);
    if (message.order.length) arrange(message.order);
    document.body.dataset.version = message.version;
    filter();
    const names = Object.keys(message.changed).filter((key) => key.includes("/")).map((key) => key.split("/").slice(1).join("/"));
    if (names.length && names.length < 4) announce.textContent = `updated: ${names.join(", ").replace(/\p{C}/gu, "")}`;
    else if (Object.keys(message.changed).length) announce.textContent = "the page was updated";
  }

  function say(state, text) {
    if (!connection) return;
    connection.dataset.state = state;
    connection.textContent = text;
  }

  let stream = null;

  function listen() {
    const source = document.body.dataset.live;
    if (!source || stream) return;
    const separator = source.includes("?") ? "&" : "?";
    const mine = new EventSource(`${source}${separator}since=${encodeURIComponent(document.body.dataset.version)}`);
    stream = mine;
    mine.addEventListener("open", () => say("live", "live"));
    mine.addEventListener("change", (event) => update(JSON.parse(event.data)));
    mine.addEventListener("bye", () => {
      mine.close();
      say("lost", "signed out: reload to sign in");
    });
    mine.addEventListener("again", () => {
      mine.close();
      location.reload();
    });
    mine.addEventListener("error", () => {
      if (stream !== mine) return;
      const at = new Date().toTimeString().slice(0, 5);
      if (connection && connection.dataset.state !== "lost") say("lost", `not connected since ${at}, trying again`);
      if (mine.readyState === EventSource.CLOSED) {
        stream = null;
        setTimeout(listen, 3000);
      }
    });
  }

  function stop() {
    stream?.close();
    stream = null;
  }

  // A browser keeps six connections to one server: tabs that nobody sees give theirs back, and nothing is computed for them.
  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? stop() : listen()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && listen());

  const search = document.getElementById("filter");
  const busy = document.getElementById("busy");

  // Long lists come in pages: there the server finds, and only what it found is put in place of what was here.
  const form = search?.form;
  const atServer = () => form && "server" in form.dataset;

  function filter() {
    if (!search || atServer()) return;
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    let all = 0;
    for (const row of document.querySelectorAll("tr[data-name]")) {
      const hide = !row.dataset.name.includes(wanted) || (busy?.checked && "calm" in row.dataset);
      if (row.hidden !== hide) row.hidden = hide;
      all += 1;
      if (!hide) shown += 1;
    }
    const nothing = document.getElementById("nothing");
    if (nothing) nothing.hidden = shown > 0 || (all === 0 && !busy);
  }

  let asked = 0;

  async function find() {
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    const where = `${form.getAttribute("action")}${query.size ? `?${query}` : ""}`;
    const mine = ++asked;
    let text;
    try {
      const answer = await fetch(where, { headers: { Accept: "text/html" } });
      text = answer.ok ? await answer.text() : "";
    } catch {
      text = "";
    }
    if (mine !== asked || !text) return;
    const found = new DOMParser().parseFromString(text, "text/html");
    stop();
    history.replaceState(null, "", where);
    const main = document.getElementById("main");
    const fresh = found.getElementById("main");
    for (const child of [...main.children]) if (!child.contains(form)) child.remove();
    const mark = [...fresh.children].findIndex((child) => child.querySelector("#filter"));
    [...fresh.children].forEach((child, index) => {
      if (index < mark) main.insertBefore(child, form);
      else if (index > mark) main.append(child);
    });
    const counted = found.querySelector('form [data-key="count"]');
    if (counted) form.querySelector('[data-key="count"]')?.replaceWith(counted);
    document.body.dataset.live = found.body.dataset.live;
    document.body.dataset.version = found.body.dataset.version;
    count(document);
    listen();
  }

  let waiting = 0;

  function changed() {
    if (!atServer()) return filter();
    clearTimeout(waiting);
    waiting = setTimeout(find, 200);
  }

  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      changed();
      search.blur();
    }
  });
  search?.addEventListener("input", changed);
  busy?.addEventListener("change", changed);
  for (const one of form?.querySelectorAll("select") ?? []) one.addEventListener("change", changed);
  form?.addEventListener("submit", (event) => {
    if (!atServer()) return;
    event.preventDefault();
    find();
  });

  count(document);
  filter();
  setInterval(() => count(document), 5000);
  listen();
})();
