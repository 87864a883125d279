// Makes a page of a step summary, as GitHub shows it: node render.js summary.md >summary.html
// GitHub's own renderer cannot be run elsewhere. This is its style sheet, its dialect of Markdown, and Mermaid.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { marked } from "marked";
import markedAlert from "marked-alert";

const require = createRequire(import.meta.url);
const style = readFileSync(require.resolve("github-markdown-css/github-markdown-light.css"), "utf8");
const mermaid = require.resolve("mermaid/dist/mermaid.min.js");

marked.use({ gfm: true }, markedAlert(), {
  renderer: {
    code({ lang, text }) {
      return lang === "mermaid" ? `<pre class="mermaid">${text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</pre>` : false;
    },
  },
});

console.log(`<!doctype html>
<meta charset="utf-8">
<style>
${style}
body { margin: 0 }
.markdown-body { padding: 24px; font-family: "Liberation Sans", sans-serif }
pre.mermaid { background: none !important; text-align: center }
</style>
<article class="markdown-body">
${marked.parse(readFileSync(process.argv[2], "utf8"))}
</article>
<script src="file://${mermaid}"></script>
<script>mermaid.initialize({ startOnLoad: true, theme: "default" });</script>`);
