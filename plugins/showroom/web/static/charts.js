// Draws charts with Plotly from the server's chart data. Labels are text, never markup.
window.Charts = (() => {
  "use strict";
  const SERIES_COUNT = 8;
  const MIN_LINE_POINTS = 4;
  // A line without markers hides a series of few points, and points between two gaps.
  const needsMarkers = (values) =>
    values.filter((value) => value !== null).length < MIN_LINE_POINTS ||
    values.some((value, index) => value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null);
  const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly renders some HTML tags in labels.
  const escapeLabel = (value) =>
    typeof value === "string" ? value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;") : value;
  const seriesColor = (name, index) => cssColor(name ? `--${name}` : `--series-${(index % SERIES_COUNT) + 1}`);

  const axis = () => ({
    gridcolor: cssColor("--grid"), linecolor: cssColor("--grid"), zeroline: false, automargin: true, fixedrange: true,
  });
  const valueAxis = (chart) => {
    if (chart.mode === "percentage") return { ...axis(), rangemode: "tozero", ticksuffix: " %", nticks: 5 };
    const values = chart.traces.flatMap((trace) => trace.values.map((value) => value ?? 0));
    const heights = chart.traces[0].values.map((_, index) => chart.traces.reduce((sum, trace) => sum + (trace.values[index] ?? 0), 0));
    const maximum = Math.max(0, ...heights);
    // Use integer ticks for small counts.
    if (maximum <= 4 && values.every(Number.isInteger)) return { ...axis(), rangemode: "tozero", tickformat: "d", dtick: 1 };
    return { ...axis(), rangemode: "tozero", tickformat: chart.unit === "percent" ? ".0%" : ",~s", nticks: 5 };
  };
  const categoryAxis = (ticks) => ({
    ...axis(), type: "category", showgrid: false, tickmode: "array", ticklabelstandoff: 4,
    categoryorder: "array", categoryarray: ticks.values, tickvals: ticks.values, ticktext: ticks.texts.map(escapeLabel),
  });

  const axes = (chart) => {
    switch (chart.shape) {
      case "bars":
        return { xaxis: valueAxis(chart), yaxis: { ...categoryAxis(chart.ticks), autorange: "reversed" } };
      case "columns":
        return { xaxis: categoryAxis(chart.ticks), yaxis: valueAxis(chart) };
      case "heatmap":
        return {
          xaxis: { ...categoryAxis(chart.ticks), title: { text: escapeLabel(chart.ticks.title), standoff: 6 } },
          yaxis: { ...categoryAxis(chart.y_ticks), autorange: "reversed" },
        };
      case "pie":
        return {};
      default:
        return { xaxis: { ...axis(), type: "date", showgrid: false, nticks: 7 }, yaxis: valueAxis(chart) };
    }
  };

  const layoutOf = (chart) => ({
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", autosize: true, separators: ".,",
    barmode: chart.mode === "unstacked" ? "group" : "stack", barnorm: chart.mode === "percentage" ? "percent" : "",
    bargap: chart.shape === "time" ? 0.15 : 0.3,
    font: { family: "inherit", size: 12, color: cssColor("--muted") },
    margin: { l: 8, r: 12, t: 6, b: 8 },
    showlegend: chart.shape === "pie" || (chart.shape !== "heatmap" && chart.traces.length > 1),
    legend:
      chart.shape === "pie"
        ? { x: 1.02, y: 0.5, yanchor: "middle", font: { size: 12 } }
        : { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
    hovermode: chart.shape === "time" ? "x unified" : "closest",
    hoverlabel: { align: "left", bgcolor: cssColor("--card"), bordercolor: cssColor("--grid"), font: { color: cssColor("--text") } },
    ...axes(chart),
  });

  const pieTrace = (trace) => ({
    type: "pie", hole: 0.58, sort: false, direction: "clockwise", labels: trace.x.map(escapeLabel), values: trace.values,
    text: trace.texts.map(escapeLabel), textinfo: "none",
    hovertemplate: "%{text}<extra></extra>",
    marker: { colors: trace.colors.map(seriesColor), line: { color: cssColor("--card"), width: 2 } },
  });

  const heatmapTrace = (trace, colorMax) => ({
    type: "heatmap", x: trace.x, y: trace.y, z: trace.values, text: trace.texts.map((row) => row.map(escapeLabel)),
    hovertemplate: "%{text}<extra></extra>", xgap: 2, ygap: 2, hoverongaps: false,
    colorscale: [[0, cssColor("--heat-0")], [0.5, cssColor("--heat-1")], [1, cssColor("--heat-2")]], zmin: 0, zmax: colorMax,
    colorbar: {
      thickness: 10, outlinewidth: 0, tickformat: ",~s", nticks: 5, len: 0.9,
      ...(Math.max(...trace.values.flat()) > colorMax ? { ticksuffix: "+", showticksuffix: "last" } : {}),
    },
  });

  const seriesTrace = (trace, index, chart) => {
    const color = seriesColor(trace.color, index);
    const isHorizontal = chart.shape === "bars";
    const isStacked = trace.area && chart.mode !== "unstacked" && chart.traces.length > 1;
    return {
      type: trace.type, name: escapeLabel(trace.name), orientation: isHorizontal ? "h" : "v",
      x: isHorizontal ? trace.values : trace.x, y: isHorizontal ? trace.x : trace.values,
      text: trace.texts.map(escapeLabel), textposition: "none", hovertemplate: "%{text}<extra></extra>",
      mode: needsMarkers(trace.values) ? "lines+markers" : "lines", line: { color, width: 2 },
      marker: { color, size: 5, line: { width: 0 } },
      ...(trace.area ? { fill: isStacked ? "tonexty" : "tozeroy", fillcolor: `${color}${isStacked ? "88" : "22"}` } : {}),
      ...(isStacked ? { stackgroup: "all", groupnorm: chart.mode === "percentage" ? "percent" : "" } : {}),
    };
  };

  const toTraces = (chart) =>
    chart.traces.map((trace, index) => {
      if (trace.type === "pie") return pieTrace(trace);
      return trace.type === "heatmap" ? heatmapTrace(trace, chart.color_max) : seriesTrace(trace, index, chart);
    });

  const draw = (node, chart) =>
    window.Plotly.react(node, toTraces(chart), layoutOf(chart), { displayModeBar: false, responsive: true });

  return { draw };
})();
