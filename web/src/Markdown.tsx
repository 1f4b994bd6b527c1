import { memo, useRef } from "react";
import type { ReactNode } from "react";
import ReactMarkdown from "react-markdown";
import type { Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { Chart } from "./Chart.tsx";
import { Copy } from "./Copy.tsx";
import { plainly } from "./asked.ts";
import { chartOf, charts } from "./chart.ts";
import { codeOf, destinationOf, isReadable, plainLinks, safeAddress, textOf } from "./markdown.ts";
import { Otherwise } from "./Otherwise.tsx";

/**
 * What a model says, as Markdown. Its HTML is shown as text, nothing is loaded, and links lead to http, https and mail
 * only and show where they lead. A block named chart that is one is drawn. What cannot be read as Markdown in good time is shown as it is.
 */
export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  const plain = <p className="text">{text}</p>;
  if (!isReadable(text)) return plain;
  return (
    <Otherwise show={plain}>
      <div className="markdown">
        <ReactMarkdown remarkPlugins={PLUGINS} rehypePlugins={OF_HTML} components={COMPONENTS} urlTransform={(url) => url}>{text}</ReactMarkdown>
      </div>
    </Otherwise>
  );
});

const PLUGINS = [remarkGfm];
const OF_HTML = [plainLinks, charts];

/** Elements are made of these alone, so that no attribute of the text's own making reaches the page. */
const COMPONENTS: Components = {
  a: ({ node, href, children }) => <Link href={href} text={textOf(node)}>{children}</Link>,
  img: ({ src, alt }) => <Picture address={typeof src === "string" ? src : undefined} text={alt ? `Image: ${plainly(alt)}` : "Image"} />,
  pre: ({ node, children }) => {
    const chart = chartOf(node);
    return chart ? <Chart chart={chart} /> : <Code>{children}</Code>;
  },
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

interface LinkProps {
  readonly href: string | undefined;
  readonly text: string;
  readonly children: ReactNode;
}

/** A link, with the place that it leads to. */
function Link({ href, text, children }: LinkProps) {
  const address = safeAddress(href);
  if (!address) return <span>{children}</span>;
  const to = destinationOf(address, text);
  return (
    <a href={address} target="_blank" rel="noopener noreferrer">
      <bdi>{children}</bdi>
      {to && <> <span className={to.otherwise ? "place otherwise" : "place"}>({to.otherwise && "leads to "}<bdi dir="ltr">{to.place}</bdi>)</span></>}
    </a>
  );
}

/** A link in place of a picture: a picture that is loaded would tell its server who reads what. */
function Picture({ address, text }: { readonly address: string | undefined; readonly text: string }) {
  return <Link href={address} text={text}>{text}</Link>;
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
