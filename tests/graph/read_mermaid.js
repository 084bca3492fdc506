// Reads flowcharts with the real Mermaid: a JSON string a line in, what it understood a line out.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!DOCTYPE html>", { pretendToBeVisual: true });
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, maxEdges: 1e6, maxTextSize: 1e8 });

async function understood(text) {
  try {
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    return {
      title: db.getDiagramTitle(),
      nodes: Array.from(db.getVertices().values(), ({ id, text, type, classes, labelType }) => (
        { id, text, type, classes, labelType }
      )),
      groups: db.getSubGraphs().map(({ id, title, nodes }) => ({ id, title, nodes })),
      edges: db.getEdges().map(({ start, end, text }) => ({ start, end, text })),
      links: Array.from(db.getVertices().values()).filter(({ link }) => link).length,
    };
  } catch (error) {
    return { error: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(JSON.stringify(await understood(JSON.parse(line))) + "\n");
