/**
 * From a control-flow graph to WebAssembly's structured control: strongly connected components become loops, forward edges
 * leave blocks that end where their target begins. A component with several entries (irreducible, or a loop into whose middle
 * the outside may jump) gets a `br_table` at the start of its loop on the number of the block to begin with; blocks that are only
 * reached in order never pay for it.
 */

/** What the code generator does for the structure. */
export interface StructureEmitter<Label> {
  openBlock(): Label;
  openLoop(): Label;
  close(): void;
  /** Branches by the dispatch number: entry k of `labels`, `otherwise` beyond and for undefined. Falls through if that is undefined. */
  dispatch(labels: readonly (Label | undefined)[], otherwise: Label | undefined): void;
  /** The code of a node. `dispatchNumber` not 0: it can be dispatched to, and must set the number back to 0. */
  node(node: number, dispatchNumber: number): void;
}

/** How an edge goes. */
export interface EdgePlan<Label> {
  readonly label: Label;
  /** Goes back to the head of a loop. */
  readonly isRetreating: boolean;
  /** Not 0: the dispatch number to set before. */
  readonly dispatchNumber: number;
}

interface GroupScope<Label> {
  readonly kind: "group";
  readonly componentOf: ReadonlyMap<number, number>;
  readonly headers: readonly number[];
  readonly labels: (Label | undefined)[];
  current: number;
}

interface LoopScope<Label> {
  readonly kind: "loop";
  readonly header: number;
  readonly label: Label;
}

export class Structure<Label> {
  readonly #successors: readonly (readonly number[])[];
  readonly #predecessors: number[][];
  readonly #entries: ReadonlySet<number>;
  readonly #emitter: StructureEmitter<Label>;
  readonly #scopes: (GroupScope<Label> | LoopScope<Label>)[] = [];
  /** Dispatch numbers by node, 0: none. */
  readonly #numbers: number[];
  #lastNumber = 0;

  /** `entries[0]` is where control begins with dispatch number 0; entry k begins with number k. */
  constructor(
    successors: readonly (readonly number[])[],
    entries: readonly number[],
    emitter: StructureEmitter<Label>,
  ) {
    this.#successors = successors;
    this.#entries = new Set(entries);
    this.#emitter = emitter;
    this.#predecessors = successors.map(() => []);
    successors.forEach((targets, from) => {
      for (const to of targets) this.#predecessors[to].push(from);
    });
    this.#numbers = successors.map(() => 0);
    for (const entry of entries.slice(1)) this.#number(entry);
  }

  emit(): void {
    const nodes = this.#successors.map((_, n) => n);
    const [first] = this.#entries;
    this.#group(nodes, -1, first, [...this.#entries]);
  }

  /** For the code of a node: where a branch to `to` leads. */
  edge(to: number): EdgePlan<Label> {
    for (let n = this.#scopes.length - 1; n >= 0; n--) {
      const scope = this.#scopes[n];
      if (scope.kind === "loop") {
        if (scope.header === to) return { label: scope.label, isRetreating: true, dispatchNumber: 0 };
        continue;
      }
      const component = scope.componentOf.get(to);
      if (component === undefined || component <= scope.current) continue;
      const isDirect = scope.headers[component] === to;
      return {
        label: scope.labels[component] as Label,
        isRetreating: false,
        dispatchNumber: isDirect ? 0 : this.#numbers[to],
      };
    }
    throw new Error(`region: no way to block ${to}`);
  }

  #number(node: number): number {
    if (this.#numbers[node] === 0) this.#numbers[node] = ++this.#lastNumber;
    return this.#numbers[node];
  }

  /**
   * Emits nodes whose edges to `cutHeader` do not count. Control arrives at `primary` with dispatch number 0, at the other
   * `arrivals` with theirs.
   */
  #group(nodes: readonly number[], cutHeader: number, primary: number, arrivals: readonly number[]): void {
    const components = this.#components(nodes, cutHeader, primary);
    const componentOf = new Map<number, number>();
    components.forEach((component, n) => {
      for (const node of component) componentOf.set(node, n);
    });
    const outside = components.map((component) => this.#arrivalsOf(component, arrivals));
    const headers = components.map((component, n) => this.#headerOf(component, outside[n], primary));
    outside.forEach((list, n) => {
      for (const node of list) if (node !== headers[n]) this.#number(node);
    });
    const hasDispatch = arrivals.length > 1 || componentOf.get(primary) !== 0;
    const emitter = this.#emitter;
    const scope: GroupScope<Label> = { kind: "group", componentOf, headers, labels: [], current: -1 };
    for (let n = components.length - 1; n >= (hasDispatch ? 0 : 1); n--) scope.labels[n] = emitter.openBlock();
    if (hasDispatch) {
      const labels: (Label | undefined)[] = [];
      for (const node of arrivals) {
        if (node !== primary) labels[this.#numbers[node]] = scope.labels[componentOf.get(node) as number];
      }
      emitter.dispatch(labels, scope.labels[componentOf.get(primary) as number]);
    }
    this.#scopes.push(scope);
    components.forEach((component, n) => {
      if (scope.labels[n] !== undefined) emitter.close();
      scope.current = n;
      const header = headers[n];
      const isLoop = component.length > 1 || this.#successors[header].includes(header);
      if (!isLoop || header === cutHeader) {
        emitter.node(header, this.#numbers[header]);
        return;
      }
      const label = emitter.openLoop();
      this.#scopes.push({ kind: "loop", header, label });
      this.#group(component, header, header, [header, ...outside[n].filter((node) => node !== header)]);
      this.#scopes.pop();
      emitter.close();
    });
    this.#scopes.pop();
  }

  /** Nodes of a component that control reaches from elsewhere. */
  #arrivalsOf(component: readonly number[], arrivals: readonly number[]): number[] {
    const inside = new Set(component);
    return component.filter(
      (node) => arrivals.includes(node) || this.#predecessors[node].some((from) => !inside.has(from)),
    );
  }

  /** The head of a component's loop: the entry that most edges of the component lead to. */
  #headerOf(component: readonly number[], outside: readonly number[], primary: number): number {
    if (component.length === 1) return component[0];
    if (component.includes(primary)) return primary;
    const inside = new Set(component);
    const weight = (node: number) => this.#predecessors[node].filter((from) => inside.has(from)).length;
    return outside.reduce((best, node) => (weight(node) > weight(best) ? node : best), outside[0] ?? component[0]);
  }

  /** Strongly connected components in topological order (Tarjan), the one of `first` in front if nothing leads to it. */
  #components(nodes: readonly number[], cutHeader: number, first: number): number[][] {
    const inside = new Set(nodes);
    const index = new Map<number, number>();
    const low = new Map<number, number>();
    const stack: number[] = [];
    const onStack = new Set<number>();
    const found: number[][] = [];
    const visit = (node: number): void => {
      index.set(node, index.size);
      low.set(node, index.get(node) as number);
      stack.push(node);
      onStack.add(node);
      for (const to of this.#successors[node]) {
        if (to === cutHeader || !inside.has(to)) continue;
        if (!index.has(to)) {
          visit(to);
          low.set(node, Math.min(low.get(node) as number, low.get(to) as number));
        } else if (onStack.has(to)) low.set(node, Math.min(low.get(node) as number, index.get(to) as number));
      }
      if (low.get(node) === index.get(node)) {
        const component: number[] = [];
        for (let member = -1; member !== node; ) {
          member = stack.pop() as number;
          onStack.delete(member);
          component.push(member);
        }
        found.push(component);
      }
    };
    // What is visited last comes first.
    for (const node of [...nodes].reverse()) if (node !== first && !index.has(node)) visit(node);
    if (!index.has(first)) visit(first);
    return found.reverse();
  }
}
