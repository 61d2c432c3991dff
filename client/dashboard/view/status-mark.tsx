/** A status by shape and color, and in words for screen readers. */

const KNOWN = new Set(['online', 'away', 'busy', 'offline', 'invisible']);

export function StatusMark({ status }: { readonly status: string }) {
  return <span class={`mark ${KNOWN.has(status) ? status : 'other'}`} aria-hidden="true" />;
}

export function Status({ status }: { readonly status: string }) {
  return (
    <span class="status">
      <StatusMark status={status} />
      {status}
    </span>
  );
}
