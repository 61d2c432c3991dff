/** The chain of a bucket finds missing messages and forks of the history. */
import { describe, expect, it } from 'vitest';
import { Chain, type Link } from '../../../server/cluster/chain.ts';

const operation = (last: string, clock: number, before: string): Link => ({ last, clock, epoch: 0, before });
const tick = (last: string, clock: number): Link => operation(last, clock, last);

function chainAt(last: string, clock: number): Chain {
  const chain = new Chain();
  chain.resync({ last, clock, epoch: 0 }, 0);
  return chain;
}

describe('a chain', () => {
  it('accepts the operation that names the last one', () => {
    const chain = chainAt('a.1', 100);
    expect(chain.receive(operation('b.1', 110, 'a.1'), 5)).toBe('next');
    expect(chain.receive(tick('b.1', 120), 6)).toBe('next');
    expect(chain.clock).toBe(120);
  });

  it('has a gap if an operation is missing, at the next one or at a tick', () => {
    expect(chainAt('a.1', 100).receive(operation('a.3', 120, 'a.2'), 5)).toBe('gap');
    expect(chainAt('a.1', 100).receive(tick('a.2', 120), 5)).toBe('gap');
  });

  it('does not mistake another operation at the same place for the lost one', () => {
    const chain = chainAt('a.1', 100);
    chain.receive(operation('a.2', 110, 'a.1'), 1);
    expect(chain.receive(operation('b.7', 111, 'a.1'), 2)).toBe('gap');
  });

  it('ignores what it has read already, until a message confirms the place', () => {
    const chain = chainAt('a.3', 130);
    expect(chain.receive(operation('a.2', 120, 'a.1'), 1)).toBe('old');
    expect(chain.receive(operation('a.3', 130, 'a.2'), 2)).toBe('old');
    expect(chain.receive(operation('a.4', 140, 'a.3'), 3)).toBe('next');
    expect(chain.receive(operation('a.2', 120, 'a.1'), 4)).toBe('gap');
  });

  it('has a gap if a later operation arrives before an acknowledged operation of its own', () => {
    const chain = chainAt('a.1', 100);
    chain.acknowledged('a.2', 110, 5);
    expect(chain.receive(operation('b.1', 120, 'a.1'), 6)).toBe('gap');
  });

  it('reports an operation of its own that is overdue, until its message arrives', () => {
    const chain = chainAt('a.1', 100);
    chain.acknowledged('a.2', 110, 5);
    expect([chain.isOverdue(4), chain.isOverdue(5)]).toEqual([false, true]);
    expect(chain.receive(operation('a.2', 110, 'a.1'), 7)).toBe('next');
    expect(chain.isOverdue(1000)).toBe(false);
  });

  it('follows the clock of the messages, also back, but not that of a read', () => {
    const chain = chainAt('a.1', 100);
    chain.receive(tick('a.1', 1000), 10);
    expect(chain.clockAt(60)).toBe(1050);
    chain.resync({ last: 'a.1', clock: 1001, epoch: 0 }, 500);
    expect(chain.clockAt(510)).toBe(1500);
  });

  it('learns an epoch from a message', () => {
    const chain = chainAt('a.1', 100);
    expect(chain.receive({ last: 'b.2', clock: 200, epoch: 200, before: 'a.1' }, 1)).toBe('next');
    expect(chain.epoch).toBe(200);
  });
});
