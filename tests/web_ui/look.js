// What a person sees of a run in Temporal's web UI: its timeline, and its progress.
// node look.js CHROMIUM URL TIMELINE.png PROGRESS.png; prints {timeline, progress} as JSON.

import { chromium } from "playwright-core";

const [program, url, timelineFile, progressFile] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: program,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await page.getByText("Timeline").first().waitFor();
  await page.getByText("timeout of definition").first().waitFor();
  await page.waitForTimeout(1500); // it moves as it is drawn
  const timeline = await page.innerText("main");
  await page.screenshot({ path: timelineFile });

  await page.getByText("User Metadata").first().click();
  const details = page.frameLocator("iframe").locator("body");
  await details.getByText("step", { exact: true }).waitFor();
  const progress = await details.innerText();
  await page.screenshot({ path: progressFile, clip: { x: 240, y: 45, width: 1040, height: 700 } });
  console.log(JSON.stringify({ timeline, progress }));
} finally {
  await browser.close();
}
