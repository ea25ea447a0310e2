"""Send mail by a handler of your own: it gets every alert from "error" up, and none below.

Run it:

    python email_handler.py                   prints the mails
    python email_handler.py 127.0.0.1:8025    sends them through that SMTP server
"""

import json
import smtplib
import sys
from email.message import EmailMessage
from typing import Any

from modelwatch import AlertLevel, ModelMonitoringConfig, ProductionMonitoringService


def email_alert_handler(alert: dict[str, Any]) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "modelwatch@example.com", "ml-team@example.com"
    mail["Subject"] = f"[{alert['level'].upper()}] {alert['type']}: {alert['message']}"
    mail.set_content(f"{alert['message']}\n\nSince {alert['timestamp']}\n\n{json.dumps(alert['data'], indent=2)}")
    if len(sys.argv) > 1:
        host, port = sys.argv[1].split(":")
        with smtplib.SMTP(host, int(port), timeout=10) as server:
            server.send_message(mail)
    else:
        print(mail)


def main() -> None:
    # From the start, so that no alert is missed …
    service = ProductionMonitoringService(alert_handlers={"email": email_alert_handler})
    # … or whenever it is ready.
    service.register_alert_handler("email", email_alert_handler)
    service.register_model(ModelMonitoringConfig(model_id="ad_score_model_v1", alert_channels=["log", "email"]))

    data = {"model_id": "ad_score_model_v1", "accuracy": 0.81}
    told = service.send_alert(AlertLevel.ERROR, "accuracy fell below 0.9", data, alert_type="performance")
    print(f"error: {told['channels']}")
    told = service.send_alert(AlertLevel.INFO, "a new version is live", {"model_id": "ad_score_model_v1"})
    print(f"info: {told['channels']}")
    service.close()


if __name__ == "__main__":
    main()
