/** Pages of the door itself: without styles and scripts, as the renderer is behind it. */

/**
 * Leads a browser that has just been let in to the workbench. A page rather than a redirect: a browser that was led here by
 * another program would send no SameSite=Strict cookie along a redirect.
 */
export const WELCOME_PAGE = page(
  '<p><a href="/">Open the workbench</a></p>',
  '<meta http-equiv="refresh" content="0;url=/">',
);

export const REFUSAL_PAGE = page(`
<h1>Take a new address</h1>
<p>This address works once and has been used, or it is an old one. Each browser needs one of its own: the terminal in which
<code>lathe serve</code> runs shows the next one. If it does not, start it again.</p>
<p>Was the workbench open in this browser before? <a href="/">Go on here.</a></p>
`);

function page(body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8">${head}<title>Lathe</title></head>
<body>${body}</body>
</html>
`;
}
