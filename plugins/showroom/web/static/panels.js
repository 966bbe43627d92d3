// Draws one panel: tiles, a chart, a table or an error. All server data is set as text, never as markup.
window.Panels = (() => {
  "use strict";
  const [MAX_SHORT_LENGTH, MAX_NORMAL_LENGTH] = [20, 30];
  const lengthClass = (text) => (text.length > MAX_NORMAL_LENGTH ? "long" : text.length > MAX_SHORT_LENGTH ? "" : "short");
  const element = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const empty = (text) => element("p", "empty", text);

  const drawTile = (data, isSingle) => {
    const tile = element("div", "tile");
    if (!isSingle) tile.append(element("span", "label", data.label));
    tile.append(element("p", "value", data.value));
    const line = element("p", "previous");
    if (data.previous) line.append(element("span", "", `before: ${data.previous}`));
    tile.append(line);
    return tile;
  };

  const showChanges = (panel, tiles) => {
    const head = panel.querySelector(".head");
    head.querySelectorAll(".change").forEach((old) => old.remove());
    for (const tile of tiles ?? []) {
      if (!tile.change) continue;
      const chip = element("span", `change ${tile.trend}`, tile.change);
      chip.title = `${tile.label}: compared with the previous period of the same length`;
      head.append(chip);
    }
  };

  const drawTable = (data, title) => {
    const scroll = element("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `${title}, table`);
    const table = element("table");
    const head = element("tr");
    for (const column of data.head) {
      const cell = element("th", column.kind, column.label);
      cell.scope = "col";
      head.append(cell);
    }
    const top = element("thead");
    top.append(head);
    const body = element("tbody");
    for (const row of data.rows) {
      const line = element("tr");
      row.forEach((text, column) => {
        const kind = data.head[column].kind;
        line.append(element("td", kind === "text" ? lengthClass(text) : kind, text));
      });
      body.append(line);
    }
    table.append(top, body);
    scroll.append(table);
    if (data.more) scroll.append(empty(`and ${data.more.toLocaleString("en")} more`));
    return scroll;
  };

  // Update an existing chart in place, because a new element flickers.
  const drawChart = (panel, data, title) => {
    let node = panel.querySelector(".chart");
    if (!node) {
      node = element("div", "chart");
      node.setAttribute("role", "img");
      node.setAttribute("aria-label", `${title}, chart; its values can be shown as a table`);
      panel.querySelector(".body").replaceChildren(node);
    }
    window.Charts.draw(node, data);
  };

  const clear = (panel) => {
    const chart = panel.querySelector(".chart");
    if (chart && window.Plotly) window.Plotly.purge(chart);
    panel.querySelector(".body").replaceChildren();
  };

  const asTable = (panel) => panel.querySelector(".toggle")?.getAttribute("aria-pressed") === "true";

  // Keep the scroll position and the focus of a table.
  const replaceBody = (panel, nodes) => {
    const body = panel.querySelector(".body");
    const old = body.querySelector(".scroll");
    const [top, left, focused] = [old?.scrollTop ?? 0, old?.scrollLeft ?? 0, old !== null && old === document.activeElement];
    clear(panel);
    body.append(...nodes);
    const current = body.querySelector(".scroll");
    if (current) Object.assign(current, { scrollTop: top, scrollLeft: left });
    if (current && focused) current.focus({ preventScroll: true });
  };

  const setState = (panel, name, note = "") => {
    panel.dataset.state = name;
    panel.setAttribute("aria-busy", String(name === "loading"));
    panel.querySelector(".note").textContent = note;
  };

  const show = (panel, response) => {
    const title = panel.querySelector("h2").textContent;
    panel.response = response;
    panel.querySelector(".toggle")?.toggleAttribute("disabled", !response.table);
    if (response.state === "empty") replaceBody(panel, [empty("no data in this time range")]);
    else if (response.tiles) replaceBody(panel, response.tiles.map((data) => drawTile(data, response.tiles.length === 1)));
    else if (response.chart && !asTable(panel)) drawChart(panel, response.chart, title);
    else replaceBody(panel, [drawTable(response.table, title)]);
    showChanges(panel, response.tiles);
    setState(panel, response.state, response.unsupported_filters ?? "");
  };

  // Keep the data of a panel and mark it as stale.
  const showError = (panel, error) => {
    if (panel.response) return setState(panel, "stale", `as of ${panel.response.updated}`);
    const node = element("div", "failed");
    // The message above the dashboard names an unavailable server; other errors can concern this panel only.
    if (error.state === "unavailable") node.append(element("p", "", "no response"));
    else node.append(element("p", "", error.message), element("p", "remedy", error.remedy ?? ""));
    replaceBody(panel, [node]);
    panel.querySelector(".toggle")?.setAttribute("disabled", "");
    setState(panel, "failed");
  };

  const showLoading = (panel) => {
    panel.response = undefined;
    panel.querySelector(".toggle")?.setAttribute("disabled", "");
    showChanges(panel);
    clear(panel);
    setState(panel, "loading");
  };

  return { show, showError, showLoading };
})();
