import { type Html, html } from './html.js';

/** What every page of the samples has around it. */
export interface Page {
  readonly title: string;
  readonly style: Html;
  /** Beside the title: who is signed in, most often. */
  readonly account: Html | string;
  readonly body: Html;
}

export function page({ title, style, account, body }: Page): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${style}
        </style>
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          ${account}
        </header>
        ${body}
      </body>
    </html>`.text;
}
