import { saveFile } from '../parts/save-file.ts';

/** What style sheets give a chart, and a file of its own must bring along. */
const STYLES = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'stroke-linejoin',
  'opacity',
  'font-family',
  'font-size',
  'font-weight',
] as const;

const PNG_SCALE = 2;

/** The chart as it is seen, in a file of its own. */
export async function exportChart(chart: SVGSVGElement, kind: 'svg' | 'png'): Promise<void> {
  const text = new XMLSerializer().serializeToString(standalone(chart));
  const svg = new Blob([text], { type: 'image/svg+xml' });
  if (kind === 'svg') {
    saveFile('lathe-compare.svg', svg);
    return;
  }
  saveFile('lathe-compare.png', await rasterize(text, chart.width.baseVal.value, chart.height.baseVal.value));
}

function standalone(chart: SVGSVGElement): SVGSVGElement {
  const copy = chart.cloneNode(true) as SVGSVGElement;
  const originals = [chart, ...chart.querySelectorAll('*')];
  const copies = [copy, ...copy.querySelectorAll('*')];
  for (const [index, original] of originals.entries()) {
    const computed = getComputedStyle(original);
    // Attributes, because a page's policy forbids style attributes in what is parsed.
    for (const name of STYLES) copies[index]?.setAttribute(name, computed.getPropertyValue(name));
    for (const name of ['class', 'tabindex', 'data-run', 'role', 'aria-pressed']) copies[index]?.removeAttribute(name);
  }
  for (const target of copy.querySelectorAll('circle[r="13"]')) target.remove();
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  const paper = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  paper.setAttribute('width', '100%');
  paper.setAttribute('height', '100%');
  paper.setAttribute('fill', getComputedStyle(document.documentElement).getPropertyValue('--panel').trim());
  copy.prepend(paper);
  return copy;
}

async function rasterize(svg: string, width: number, height: number): Promise<Blob> {
  const image = new Image();
  // `data:`, because the page's policy lets images come from there.
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = width * PNG_SCALE;
  canvas.height = height * PNG_SCALE;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('this browser draws no pictures');
  context.scale(PNG_SCALE, PNG_SCALE);
  context.drawImage(image, 0, 0, width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob === null ? reject(new Error('the picture could not be made')) : resolve(blob)));
  });
}
