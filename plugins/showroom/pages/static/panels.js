// What one panel shows: figures, a chart, a table, or why there is none. Everything from the server is set as text.
window.Panels = (() => {
  "use strict";
  const [SHORT, LONG] = [20, 30];
  const extent = (text) => (text.length > LONG ? "long" : text.length > SHORT ? "" : "short");
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const none = (text) => element("p", "none", text);

  const tile = (shown, alone) => {
    const made = element("div", "figure");
    if (!alone) made.append(element("span", "label", shown.label));
    made.append(element("p", "value", shown.value));
    const line = element("p", "other");
    if (shown.before) line.append(element("span", "", `before: ${shown.before}`));
    made.append(line);
    return made;
  };

  const chips = (panel, tiles) => {
    const head = panel.querySelector(".head");
    head.querySelectorAll(".change").forEach((old) => old.remove());
    for (const shown of tiles ?? []) {
      if (!shown.change) continue;
      const chip = element("span", `change ${shown.trend}`, shown.change);
      chip.title = `${shown.label}: against the time of the same length before`;
      head.append(chip);
    }
  };

  const grid = (shown, title) => {
    const scroll = element("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `${title}, table`);
    const table = element("table");
    const head = element("tr");
    for (const column of shown.head) {
      const cell = element("th", column.kind, column.label);
      cell.scope = "col";
      head.append(cell);
    }
    const top = element("thead");
    top.append(head);
    const body = element("tbody");
    for (const row of shown.rows) {
      const line = element("tr");
      row.forEach((text, place) => {
        const kind = shown.head[place].kind;
        line.append(element("td", kind === "text" ? extent(text) : kind, text));
      });
      body.append(line);
    }
    table.append(top, body);
    scroll.append(table);
    if (shown.more) scroll.append(none(`and ${shown.more.toLocaleString("en")} more`));
    return scroll;
  };

  // A chart that is drawn already changes in its place, without a flicker.
  const chart = (panel, shown, title) => {
    let place = panel.querySelector(".chart");
    if (!place) {
      place = element("div", "chart");
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", `${title}, chart; its figures can be shown as a table`);
      panel.querySelector(".body").replaceChildren(place);
    }
    window.Showroom.draw(place, shown);
  };

  const clear = (panel) => {
    const drawn = panel.querySelector(".chart");
    if (drawn && window.Plotly) window.Plotly.purge(drawn);
    panel.querySelector(".body").replaceChildren();
  };

  const asTable = (panel) => panel.querySelector(".swap")?.getAttribute("aria-pressed") === "true";

  // Who reads in a table is not sent back to its top.
  const put = (panel, made) => {
    const body = panel.querySelector(".body");
    const old = body.querySelector(".scroll");
    const [top, left, focused] = [old?.scrollTop ?? 0, old?.scrollLeft ?? 0, old !== null && old === document.activeElement];
    clear(panel);
    body.append(...made);
    const fresh = body.querySelector(".scroll");
    if (fresh) Object.assign(fresh, { scrollTop: top, scrollLeft: left });
    if (fresh && focused) fresh.focus({ preventScroll: true });
  };

  const state = (panel, name, note = "") => {
    panel.dataset.state = name;
    panel.setAttribute("aria-busy", String(name === "loading"));
    panel.querySelector(".note").textContent = note;
  };

  const show = (panel, answer) => {
    const title = panel.querySelector("h2").textContent;
    panel.answer = answer;
    panel.querySelector(".swap")?.toggleAttribute("disabled", !answer.table);
    if (answer.state === "empty") put(panel, [none("nothing in this time")]);
    else if (answer.tiles) put(panel, answer.tiles.map((shown) => tile(shown, answer.tiles.length === 1)));
    else if (answer.chart && !asTable(panel)) chart(panel, answer.chart, title);
    else put(panel, [grid(answer.table, title)]);
    chips(panel, answer.tiles);
    state(panel, answer.state, answer.unfiltered ?? "");
  };

  // What was shown stays, marked as old: an old figure says more than none.
  const fail = (panel, trouble) => {
    if (panel.answer) return state(panel, "old", `as of ${panel.answer.at}`);
    const made = element("div", "failed");
    // That a server is away is said once, above; what it refuses may be this panel's own.
    if (trouble.state === "away") made.append(element("p", "", "no answer"));
    else made.append(element("p", "", trouble.message), element("p", "remedy", trouble.remedy ?? ""));
    put(panel, [made]);
    panel.querySelector(".swap")?.setAttribute("disabled", "");
    state(panel, "failed");
  };

  const load = (panel) => {
    panel.answer = undefined;
    panel.querySelector(".swap")?.setAttribute("disabled", "");
    chips(panel);
    clear(panel);
    state(panel, "loading");
  };

  return { show, fail, load };
})();
