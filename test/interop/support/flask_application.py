"""The quick start of Flask-Session's manual, and a few routes more: python3 flask_application.py PORT CONFIG"""

import datetime
import json
import sys

from flask import Flask, jsonify, request, session
from flask_session import Session
from werkzeug.serving import run_simple


def client_of(key, value):
    """The configuration takes clients where the command line can only give a URL."""
    if key == "SESSION_REDIS":
        from redis import Redis

        return Redis.from_url(value)
    if key == "SESSION_MEMCACHED":
        import memcache

        return memcache.Client(value.split(","))
    if key == "SESSION_MONGODB":
        from pymongo import MongoClient

        return MongoClient(value)
    if key == "PERMANENT_SESSION_LIFETIME":
        return datetime.timedelta(seconds=value)
    return value


app = Flask(__name__)
config = json.loads(sys.argv[2])
app.config.update({key: client_of(key, value) for key, value in config.items()})

if config.get("SESSION_TYPE") == "sqlalchemy":
    from flask_sqlalchemy import SQLAlchemy

    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)

Session(app)

if config.get("SESSION_TYPE") == "sqlalchemy":
    with app.app_context():
        app.config["SESSION_SQLALCHEMY"].create_all()


@app.route("/set/")
def set():
    session["key"] = "value"
    return "ok"


@app.route("/get/")
def get():
    return session.get("key", "not set")


@app.route("/data", methods=["POST"])
def data():
    session.update(request.get_json())
    return "ok"


@app.route("/rich")
def rich():
    session["when"] = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
    session["naive"] = datetime.datetime(2026, 1, 2, 3, 4, 5)
    session["tags"] = {"a", "b"}
    session["bytes"] = b"\x00\xff"
    session["cart"] = [{"item": "tea", "count": 2}, ("a", "tuple")]
    session["user_id"] = "user 7"
    return "ok"


@app.route("/permanent/<int:value>")
def permanent(value):
    session.permanent = bool(value)
    session["key"] = "value"
    return "ok"


@app.route("/object")
def an_object():
    session["problem"] = Problem()
    return "ok"


@app.route("/clear")
def clear():
    session.clear()
    return "ok"


@app.route("/all")
def everything():
    return jsonify({key: repr(value) for key, value in session.items()})


@app.route("/ready")
def ready():
    return "ok"


class Problem:
    pass


run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
