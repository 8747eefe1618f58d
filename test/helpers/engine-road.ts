import { PassThrough } from 'node:stream';
import { lineChannel, type Channel } from '../../workers/host/channel.ts';

/** Both ends of a road; what is sent arrives as it would from another process: as text, a little later. */
export function engineRoad(): { driver: Channel; engine: Channel } {
  const there = new PassThrough();
  const back = new PassThrough();
  return { driver: lineChannel(back, there), engine: lineChannel(there, back) };
}
