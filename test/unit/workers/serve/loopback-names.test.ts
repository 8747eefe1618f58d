import { describe, expect, it } from 'vitest';
import { isOwnHost, isOwnOrigin } from '../../../../workers/serve/loopback-names.ts';

describe('the Host header', () => {
  it.each(['127.0.0.1:8470', 'localhost:8470', 'LOCALHOST:8470'])('%s is ours', (host) => {
    expect(isOwnHost(host, 8470)).toBe(true);
  });

  it.each([
    undefined,
    '',
    '127.0.0.1',
    'localhost',
    '127.0.0.1:8471',
    '127.0.0.2:8470',
    '[::1]:8470',
    '0.0.0.0:8470',
    'evil.example:8470',
    'localhost.evil.example:8470',
    '127.0.0.1.evil.example:8470',
    '127.0.0.1:8470.evil.example',
    'localhost:8470,evil.example',
    ' localhost:8470',
  ])('%j is not', (host) => {
    expect(isOwnHost(host, 8470)).toBe(false);
  });

  it('has no port where HTTP leaves it away', () => {
    expect(isOwnHost('localhost', 80)).toBe(true);
    expect(isOwnHost('localhost:80', 80)).toBe(true);
  });
});

describe('the Origin header', () => {
  it('is ours where it names what the request was made to', () => {
    expect(isOwnOrigin('http://127.0.0.1:8470', '127.0.0.1:8470', 8470)).toBe(true);
    expect(isOwnOrigin('http://localhost:8470', 'localhost:8470', 8470)).toBe(true);
  });

  it.each([
    undefined,
    'null',
    '',
    'https://127.0.0.1:8470',
    'http://127.0.0.1:8471',
    'http://127.0.0.1',
    'http://localhost:8470',
    'http://127.0.0.1:8470.evil.example',
    'http://evil.example',
    'file://',
  ])('%j is not', (origin) => {
    expect(isOwnOrigin(origin, '127.0.0.1:8470', 8470)).toBe(false);
  });

  it('is not ours where both headers name somebody else', () => {
    expect(isOwnOrigin('http://evil.example:8470', 'evil.example:8470', 8470)).toBe(false);
  });
});
