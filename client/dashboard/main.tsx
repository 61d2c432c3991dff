/** The operator's dashboard at /admin. */
import { render } from 'preact';

function Dashboard() {
  return (
    <main>
      <h1>Dashboard</h1>
    </main>
  );
}

render(<Dashboard />, document.body);
