// A sheet below a button: closed by Escape, which gives the focus back, and by a press outside.
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Pop {
  open: boolean;
  setOpen: (open: boolean) => void;
  close: () => void;
  box: RefObject<HTMLDivElement | null>;
  opener: RefObject<HTMLButtonElement | null>;
}

export function usePop(): Pop {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null), opener = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (e: Event): void => {
      if (!box.current?.contains(e.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);
  const close = (): void => {
    setOpen(false);
    opener.current?.focus();
  };
  return { open, setOpen, close, box, opener };
}

export function PopBox({ pop, name, button, children }: { pop: Pop; name: string; button: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="pop" ref={pop.box} onKeyDown={(e) => { if (e.key === 'Escape' && pop.open) { e.stopPropagation(); pop.close(); } }}>
      {button}
      {pop.open && <div class="sheet" role="dialog" aria-label={name}>{children}</div>}
    </div>
  );
}
