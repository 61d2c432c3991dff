/** The documentation works without this script. It adds the search, the menu of narrow windows, and the theme. */
import { applyKeptTheme, currentTheme, setTheme } from '../ui/theme.ts';
import { startSearch } from './search.ts';

applyKeptTheme();
startThemeButton();
startMenu();
showCurrentPage();
startSearch();
addCopyButtons();
makeScrollable();

function startThemeButton(): void {
  const button = element('theme');
  const name = (): void => {
    const other = currentTheme() === 'dark' ? 'light' : 'dark';
    button.ariaLabel = button.title = `Switch to ${other}`;
  };
  button.addEventListener('click', () => {
    setTheme(currentTheme() === 'dark' ? 'light' : 'dark');
    name();
  });
  name();
  button.hidden = false;
}

function startMenu(): void {
  const button = element('menu');
  const show = (isOpen: boolean): void => {
    button.ariaExpanded = String(isOpen);
    document.documentElement.classList.toggle('menu', isOpen);
  };
  button.addEventListener('click', () => show(button.ariaExpanded !== 'true'));
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') show(false);
  });
  // A link to a heading of this page loads no other page.
  element('navigation').addEventListener('click', ({ target }) => {
    if (target instanceof HTMLAnchorElement) show(false);
  });
  button.hidden = false;
  document.documentElement.classList.add('scripted');
}

/** The current page may be far down in the navigation. */
function showCurrentPage(): void {
  const navigation = element('navigation');
  const current = navigation.querySelector<HTMLElement>('[aria-current], .above');
  if (current === null || current.offsetTop + current.offsetHeight < navigation.clientHeight) return;
  navigation.scrollTop = current.offsetTop - navigation.clientHeight / 2;
}

function addCopyButtons(): void {
  for (const figure of document.querySelectorAll('figure.code')) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Copy' });
    button.addEventListener('click', () => {
      const text = figure.querySelector('code')?.textContent ?? '';
      navigator.clipboard.writeText(text).then(
        () => (button.textContent = 'Copied'),
        () => (button.textContent = 'Not allowed'),
      );
    });
    // Browsers give the clipboard to pages over HTTPS and of this machine only.
    if (isSecureContext) figure.append(button);
  }
}

/** What is wider than its column can be scrolled with the keyboard too. */
function makeScrollable(): void {
  const mark = (): void => {
    for (const box of document.querySelectorAll<HTMLElement>('.table, pre')) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute('tabindex');
    }
  };
  mark();
  addEventListener('resize', mark);
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}
