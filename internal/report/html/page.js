"use strict";
// Finds, sorts and shows the tenants. All texts are set as text, never as HTML. The table holds as many rows as a
// reader has asked for: thousands of them would be slow.
{
  const step = 200;
  const byId = (id) => document.getElementById(id);
  const rows = JSON.parse(byId("rows").textContent);
  const body = byId("table").tBodies[0];
  const heads = [...byId("table").tHead.querySelectorAll("[data-sort]")];
  const states = [...byId("states").children];
  const view = { words: [], state: "", key: "order", ascending: true, found: rows, shown: step };

  rows.forEach((row, order) => { row.order = order; });

  // What a search looks in. It is made at the first search, because most readers never search.
  const haystack = (row) => row.text ??= [row.name, row.id, row.state, row.result,
    ...(row.more ?? []).map((entry) => entry[1]).filter((value) => typeof value === "string"),
  ].join("\n").toLowerCase();

  const matches = (row) => (view.state === "" || row.state === view.state || view.state === "warned" && row.warned) &&
    view.words.every((word) => haystack(row).includes(word));

  // Comparing names as people do is slow, so each text column is ranked once.
  const collator = new Intl.Collator("en", { numeric: true });
  const ranked = new Set(["order", "ms"]);
  const rank = (key) => {
    if (ranked.has(key)) return;
    [...rows].sort((a, b) => collator.compare(a[key], b[key])).forEach((row, i) => { row[key + "Rank"] = i; });
    ranked.add(key);
  };

  const find = () => {
    rank(view.key);
    const by = view.key in rows[0] && typeof rows[0][view.key] === "number" ? view.key : view.key + "Rank";
    const sign = view.ascending ? 1 : -1;
    view.found = rows.filter(matches).sort((a, b) => sign * (a[by] - b[by]) || a.order - b.order);
    view.shown = step;
    body.replaceChildren();
    show();
  };

  // show appends the rows that are missing, and returns the first of them.
  const show = () => {
    const missing = view.found.slice(body.querySelectorAll("tr:not(.detail)").length, view.shown).map(element);
    body.append(...missing);
    const left = view.found.length - view.shown;
    byId("more").hidden = left <= 0;
    byId("more").textContent = `Show ${Math.min(left, step)} more`;
    byId("shown").textContent = status();
    return missing[0];
  };

  const count = (n) => n === 1 ? "1 tenant" : `${n} tenants`;
  const status = () => {
    const found = view.found.length;
    const filtered = view.words.length > 0 || view.state !== "";
    const all = filtered ? `${found} of ${count(rows.length)}` : count(rows.length);
    return found > view.shown ? `${all}, the first ${view.shown} shown` : all;
  };

  const element = (row) => {
    const tr = byId("row").content.firstElementChild.cloneNode(true);
    const icon = row.warned && row.state !== "failed" ? "warned" : row.state;
    tr.className = icon;
    tr.querySelector("use").setAttribute("href", "#" + icon);
    tr.querySelector(".word").textContent = row.warned ? row.state + ", warned" : row.state;
    tr.querySelector(".name").textContent = row.name;
    tr.querySelector(".id").textContent = row.id ?? "";
    tr.querySelector(".result").textContent = row.result;
    tr.querySelector(".took").textContent = row.took;
    if (row.more) {
      const button = make("button");
      button.type = "button";
      button.ariaExpanded = "false";
      const name = tr.querySelector(".name");
      name.replaceWith(button);
      button.append(name);
      button.addEventListener("click", () => toggle(button, tr, row));
    }
    return tr;
  };

  const toggle = (button, tr, row) => {
    const open = button.ariaExpanded === "true";
    button.ariaExpanded = String(!open);
    if (open) {
      tr.nextElementSibling.remove();
      return;
    }
    const detail = make("tr");
    detail.className = "detail";
    const cell = detail.insertCell();
    cell.colSpan = heads.length;
    cell.append(list(row.more));
    tr.after(detail);
  };

  const make = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const list = (entries) => {
    const dl = make("dl");
    for (const [label, value] of entries) {
      const dd = make("dd");
      dd.append(render(value));
      dd.classList.toggle("long", typeof value === "string" && value.includes("\n"));
      dl.append(make("dt", label.replaceAll("_", " ")), dd);
    }
    return dl;
  };

  const render = (value) => {
    if (Array.isArray(value)) {
      if (value.length === 0) return "none";
      const ul = make("ul");
      for (const one of value) {
        const li = make("li");
        li.append(render(one));
        ul.append(li);
      }
      return ul;
    }
    return value !== null && typeof value === "object" ? list(Object.entries(value)) : String(value);
  };

  for (const head of heads) {
    const button = make("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      view.ascending = view.key === head.dataset.sort ? !view.ascending : true;
      view.key = head.dataset.sort;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = view.ascending ? "ascending" : "descending";
      find();
    });
  }
  for (const button of states) {
    button.addEventListener("click", () => {
      view.state = button.value;
      states.forEach((other) => { other.ariaPressed = String(other === button); });
      find();
    });
  }
  byId("search").addEventListener("input", (event) => {
    view.words = event.target.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    find();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    view.shown += step;
    const first = show();
    if (byId("more").hidden) first.querySelector("button")?.focus();
  });

  find();
  byId("controls").hidden = false;
}
