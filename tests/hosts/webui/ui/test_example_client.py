"""The API's example client against a stand-in server; tests/hosts/webui/ui/test_running_api.py has it on a WebUI."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[4] / "docs" / "examples" / "api_client.py"
GROUPS = {"prompts": [{"texts": [{"groups": [], "clean": "a cat", "warnings": []}]}]}


@pytest.fixture
def server():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            status, answer = 200, GROUPS
            if self.path == "/sdapi/v1/txt2img":
                answer = {"images": [base64.b64encode(b"png").decode()], "info": json.dumps({"infotexts": ["text"]})}
                if "nonsense" in json.dumps(body):
                    status, answer = 422, {"detail": "preset = 'nonsense': must be one of fast, balanced"}
            told = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


def run(url, *flags):
    command = [sys.executable, str(CLIENT), "a red cat", "--url", url, *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_missing_folder_is_made(server, tmp_path):
    done = run(server[0], "--out", str(tmp_path / "new" / "folder"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {"plain.png", "tome.png"}


def test_a_wrong_setting_is_told_before_any_image_is_made(server, tmp_path):
    done = run(server[0], "--out", str(tmp_path), "--preset", "nonsense")
    assert done.returncode == 1
    assert "preset = 'nonsense': must be one of" in done.stderr
    assert "Traceback" not in done.stderr
    images = [body for path, body in server[1] if path == "/sdapi/v1/txt2img"]
    assert len(images) == 1
    assert "nonsense" in json.dumps(images[0])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(server, tmp_path):
    (tmp_path / "file").write_text("")
    done = run(server[0], "--out", str(tmp_path / "file" / "under"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "file" in done.stderr
