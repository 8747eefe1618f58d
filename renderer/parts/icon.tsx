import type { JSX } from 'react';

/** One outline set, 16 pixels, drawn for a text that stands beside it: screen readers skip it. */
const PATHS = {
  models: 'M2 4.5 8 1.5l6 3v7l-6 3-6-3zM2 4.5l6 3 6-3M8 7.5v7',
  inspect: 'M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2zM10.6 10.6 14 14',
  recipe: 'M4 2h6l3 3v9H4zM10 2v3h3M6.5 8h4M6.5 11h4',
  runs: 'M4 2.5v11l9-5.5z',
  compare: 'M2 2v12h12M5 5.5v.01M7 9v.01M10 10v.01M13 11.5v.01',
  export: 'M8 10V2M4.5 5.5 8 2l3.5 3.5M2 10v4h12v-4',
  settings: 'M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M10 3v3M6 10v3',
  pause: 'M5 3v10M11 3v10',
  play: 'M4 2.5v11l9-5.5z',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  folder: 'M2 3.5h4.5l1.5 2h6v7.5H2z',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  undo: 'M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H7',
  redo: 'M10.5 3l3 3-3 3M13.5 6H6a3.5 3.5 0 0 0 0 7h3',
  copy: 'M5.5 5.5h8v8h-8zM3 10.5V2.5h8',
  collapse: 'M2 2.5h12v11H2zM6 2.5v11',
  retry: 'M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3',
  warning: 'M8 2 1.5 13.5h13zM8 6.5v3.5M8 12v.01',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
