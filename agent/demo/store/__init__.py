"""A sample store: imitates the webservice of PrestaShop 8.2.4, with real writes in SQLite, for demo and tests."""

from agent.demo.store.config import ApiKey, Front, Shop, ShopUrl, StoreConfig
from agent.demo.store.store import SampleStore

__all__ = ["ApiKey", "Front", "SampleStore", "Shop", "ShopUrl", "StoreConfig"]
