/**
 * The rows of the tail as a table that renders only what is in sight: hundreds of new rows four times a second are more
 * than a browser can lay out in time.
 */
import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { TailRow } from '../../tail/tail-rows.ts';
import { TailRowView } from './tail-row.tsx';

/** Must match the styles. */
const ROW_REM = 1.5;
/** Extra rows beyond the edges, so that scrolling shows no gap. */
const BEYOND = 4;
const COLUMNS = ['Time', 'User', 'From, to', 'Cause', 'Adapter'];

interface TailTableProps {
  readonly rows: readonly TailRow[];
  readonly box: RefObject<HTMLDivElement>;
  readonly onScrolled: (scrollTop: number) => void;
  readonly onExplain: (user: string) => void;
}

export function TailTable({ rows, box, onScrolled, onExplain }: TailTableProps) {
  const [top, setTop] = useState(0);
  const height = useHeight(box);
  const rowPx = useRowPx();
  const last = Math.min(rows.length, Math.ceil((top + height) / rowPx) + BEYOND);
  const first = Math.max(0, Math.min(Math.floor(top / rowPx) - BEYOND, last));
  return (
    <div
      class="rows"
      ref={box}
      tabIndex={0}
      role="region"
      aria-label="Rows of changes"
      onScroll={({ currentTarget: { scrollTop } }) => {
        setTop(scrollTop);
        onScrolled(scrollTop);
      }}
    >
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {COLUMNS.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Gap px={first * rowPx} />
          {rows.slice(first, last).map((row, position) => (
            <TailRowView key={row.number} row={row} index={first + position + 2} onExplain={onExplain} />
          ))}
          <Gap px={(rows.length - last) * rowPx} />
        </tbody>
      </table>
    </div>
  );
}

function Gap({ px }: { readonly px: number }) {
  return px === 0 ? null : <tr class="gap" aria-hidden="true" style={{ height: `${px}px` }} />;
}

function useHeight(box: RefObject<HTMLElement>): number {
  const [height, setHeight] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => {
      setHeight(element.clientHeight);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [box]);
  return height;
}

function useRowPx(): number {
  const [px] = useState(() => ROW_REM * Number.parseFloat(getComputedStyle(document.documentElement).fontSize));
  return px;
}
