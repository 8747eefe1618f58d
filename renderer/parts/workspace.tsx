import { useEffect, useRef, type JSX, type ReactNode } from 'react';
import { Icon } from './icon.tsx';

export interface Inspected {
  title: string;
  content: ReactNode;
  onClose: () => void;
}

/** A screen, with details of what is selected in it beside it; on narrow windows they slide over it. */
export function Workspace({
  children,
  inspected = null,
}: {
  children: ReactNode;
  inspected?: Inspected | null;
}): JSX.Element {
  const close = useRef(inspected?.onClose);
  useEffect(() => {
    close.current = inspected?.onClose;
  });
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if (event.key === 'Escape' && !event.defaultPrevented) close.current?.();
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const isOpen = inspected !== null;
  const opener = useRef<Element | null>(null);
  useEffect(() => {
    if (isOpen) opener.current = document.activeElement;
    // The button that closed it is gone, and the keyboard must not be lost with it.
    else if (document.activeElement === document.body && opener.current instanceof HTMLElement) opener.current.focus();
  }, [isOpen]);
  return (
    <div className={inspected === null ? 'workspace' : 'workspace with-inspector'}>
      <div className="screen">{children}</div>
      {inspected !== null && (
        <aside className="inspector" aria-label="Inspector">
          <header>
            <h2 className="wrap">{inspected.title}</h2>
            <button type="button" className="plain" onClick={inspected.onClose} aria-label="Close the inspector">
              <Icon name="close" />
            </button>
          </header>
          {inspected.content}
        </aside>
      )}
    </div>
  );
}
