import { Component } from "react";
import type { ReactNode } from "react";

/** Shows something else if its content cannot be shown. */
export class Otherwise extends Component<{ readonly children: ReactNode; readonly show: ReactNode }, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    return this.state.failed ? this.props.show : this.props.children;
  }
}
