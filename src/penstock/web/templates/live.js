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

  function arrange(order) {
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

  function filter() {
    if (!search) return;
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    let all = 0;
    for (const row of document.querySelectorAll("tr[data-name]")) {
      const hide = !row.dataset.name.includes(wanted) || (busy?.checked && "calm" in row.dataset);
      if (row.hidden !== hide) row.hidden = hide;
      all += 1;
      if (!hide) shown += 1;
    }
    document.getElementById("nothing").hidden = shown > 0 || (all === 0 && !busy);
  }

  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      filter();
      search.blur();
    }
  });
  search?.addEventListener("input", filter);
  if (search && !busy) search.form.addEventListener("submit", (event) => event.preventDefault());
  busy?.addEventListener("change", filter);

  count(document);
  filter();
  setInterval(() => count(document), 5000);
  listen();
})();
