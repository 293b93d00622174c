import {
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type ModelStatic,
  type Sequelize,
} from "sequelize";
import type { OrderStatus } from "../../lib/contracts.ts";

/** Orders for filtered reads: only the columns that are filtered by. The table is the migrations'. */
export interface OrderModel extends Model<InferAttributes<OrderModel>, InferCreationAttributes<OrderModel>> {
  id: string;
  customerId: string;
  status: OrderStatus;
  createdAt: Date;
}

export function defineOrderModel(sequelize: Sequelize): ModelStatic<OrderModel> {
  return sequelize.define<OrderModel>(
    "order",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      customerId: { type: DataTypes.UUID, field: "customer_id" },
      status: { type: DataTypes.TEXT },
      createdAt: { type: DataTypes.DATE, field: "created_at" },
    },
    { tableName: "orders", timestamps: false },
  );
}
