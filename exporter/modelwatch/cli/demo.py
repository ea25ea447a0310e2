"""``modelwatch demo``: real flights, a fault, an alert."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelwatch.cli.arguments import positive, whole

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="real flights, a fault, an alert",
        description="Serve real flights through a monitored model; an upstream fault begins, and the alert about it "
        "arrives in the log, by email and on Slack (servers on this machine). It takes about two minutes.",
        epilog="Exit codes: 0 ok, 1 the alert did not come or came without a fault, 2 usage.",
    )
    parser.add_argument("--duration", type=positive, metavar="S", help="stop after S seconds, whatever has happened")
    parser.add_argument("--exit-on-alert", action="store_true", help="stop once the alert has arrived on all channels")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="everything X times as fast (0.25 to 4; default 1)"
    )
    parser.add_argument("--no-fault", action="store_true", help="plain traffic: exit code 1 if there is any alert")
    parser.add_argument(
        "--profile", choices=("default", "ci"), default="default", help="ci: the fault begins after 15 s, not 40 s"
    )
    parser.add_argument(
        "--port", type=_port, default=9100, help="port of the metrics (default 9100; the next free one if it is taken)"
    )
    parser.add_argument(
        "--prometheus",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the alert comes through Prometheus and Alertmanager (auto: if they are on PATH)",
    )
    parser.add_argument("--folder", type=Path, help="where to keep its files (default .demo)")
    parser.add_argument("--seed", type=int, help="other flights, in another order (by default always the same)")
    application = parser.add_argument_group(
        "only the application", "for docker-compose: a model server that Prometheus scrapes and a sidecar scores"
    )
    application.add_argument(
        "--only-serve", action="store_true", help="serve flights until stopped; configured by $MODELWATCH_CONFIG"
    )
    application.add_argument("--addr", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    application.add_argument("--slack-port", type=_port, metavar="PORT", help="run a stand-in for Slack there")
    application.add_argument(
        "--fault-cycle",
        type=positive,
        nargs=3,
        metavar=("FIRST", "LENGTH", "PERIOD"),
        default=(120.0, 180.0, 900.0),
        help="seconds: when the fault first begins, how long it lasts, how often it comes (default 120 180 900)",
    )
    parser.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from modelwatch.demo.flights import require_packages

    require_packages()
    if args.only_serve:
        from modelwatch.demo.application import ApplicationOptions, FaultCycle, run_application

        cycle = FaultCycle(*args.fault_cycle)
        return run_application(ApplicationOptions(args.addr, args.port, args.slack_port, cycle=cycle))
    from modelwatch.demo.app import DemoOptions, run_demo

    return run_demo(
        DemoOptions(
            duration=args.duration,
            exit_on_alert=args.exit_on_alert,
            speed=args.speed,
            with_fault=not args.no_fault,
            profile=args.profile,
            port=args.port,
            folder=args.folder,
            seed=args.seed,
            prometheus=args.prometheus,
        )
    )


def _port(text: str) -> int:
    return whole(text, 0, 65535)
