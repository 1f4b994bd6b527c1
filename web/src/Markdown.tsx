import { memo, useRef } from "react";
import type { ReactNode } from "react";
import ReactMarkdown from "react-markdown";
import type { Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { Copy } from "./Copy.tsx";
import { codeOf, isReadable, safeAddress } from "./markdown.ts";
import { Otherwise } from "./Otherwise.tsx";

/**
 * What a model says, as Markdown. Its HTML is shown as text, nothing is loaded, and links lead to http, https and mail
 * only. What cannot be read as Markdown in good time is shown as it is.
 */
export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  const plain = <p className="text">{text}</p>;
  if (!isReadable(text)) return plain;
  return (
    <Otherwise show={plain}>
      <div className="markdown">
        <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} urlTransform={(url) => url}>{text}</ReactMarkdown>
      </div>
    </Otherwise>
  );
});

const PLUGINS = [remarkGfm];

/** Elements are made of these alone, so that no attribute of the text's own making reaches the page. */
const COMPONENTS: Components = {
  a: ({ href, children }) => <Link href={href}>{children}</Link>,
  img: ({ src, alt }) => <Link href={typeof src === "string" ? src : undefined}>{alt ? `Image: ${alt}` : "Image"}</Link>,
  pre: ({ children }) => <Code>{children}</Code>,
  table: ({ children }) => <div className="wide" role="group" aria-label="Table" tabIndex={0}><table>{children}</table></div>,
  input: ({ checked }) => <span role="img" aria-label={checked ? "done" : "to do"}>{checked ? "☑" : "☐"}</span>,
  // The page has its own first two levels of headings.
  h1: ({ children }) => <h3>{children}</h3>,
  h2: ({ children }) => <h3>{children}</h3>,
  h3: ({ children }) => <h4>{children}</h4>,
  h4: ({ children }) => <h5>{children}</h5>,
  h5: ({ children }) => <h6>{children}</h6>,
  h6: ({ children }) => <h6>{children}</h6>,
  li: ({ children }) => <li>{children}</li>,
  section: ({ children }) => <div>{children}</div>,
};

function Link({ href, children }: { readonly href: string | undefined; readonly children: ReactNode }) {
  const address = safeAddress(href);
  if (!address) return <span>{children}</span>;
  return <a href={address} target="_blank" rel="noopener noreferrer">{children}</a>;
}

function Code({ children }: { readonly children: ReactNode }) {
  const code = useRef<HTMLPreElement>(null);
  return (
    <div className="code">
      <pre ref={code} role="group" aria-label="Code" tabIndex={0}>{children}</pre>
      <Copy what="code" text={() => codeOf(code.current?.textContent ?? "")} />
    </div>
  );
}
